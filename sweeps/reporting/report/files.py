"""A report as a file: HTML that needs nothing else, or Markdown with SVG files beside it."""

import re
from importlib import resources
from pathlib import Path

import jinja2

from sweeps.errors import SweepsError
from sweeps.reporting.report.chart import Chart, Grid, shown
from sweeps.reporting.report.document import Block, Charts, Code, Report, Table, Warning
from sweeps.reporting.report.svg import to_svg
from sweeps.spec.files import check_replaceable, check_writable, write_whole

#: Of a report in HTML, and of one in Markdown: how a file says that it is one.
_MARKS = ('<meta name="generator" content="sweeps report">', "\nMade by sweeps report ")
# Of points in all charts of a page together: each takes some 200 bytes.
_MOST_SHAPES = 4000


def write_report(report: Report, path: Path, *, force: bool = False) -> None:
    """Write a report into a file, whole or not at all.

    Args:
        report: the report.
        path: the file: ``.html``, or ``.md`` with the charts in a folder beside it.
        force: replace a file that is no report.

    Raises:
        SweepsError: it cannot be written there.
    """
    if path.suffix not in (".html", ".md"):
        raise SweepsError(f"{path}: a report is a file that ends in .html, .md or .csv")
    check_writable(path)
    if not force:
        check_replaceable(path, "report", _MARKS)
    if path.suffix == ".html":
        text = _to_html(report)
    else:
        folder = path.with_name(f"{path.stem}-charts")
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise SweepsError(f"{folder}: cannot be created: {error.strerror}") from None
        for chart in report.charts():
            svg = to_svg(chart, inline=False)
            write_whole(folder / f"{chart.key}.svg", svg.encode("utf-8", "replace"))
        text = _to_markdown(report, folder.name)
    write_whole(path, text.encode("utf-8", "replace"))


def _to_html(report: Report) -> str:
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.tests |= {
        "warning": lambda block: isinstance(block, Warning),
        "code": lambda block: isinstance(block, Code),
        "charts": lambda block: isinstance(block, Charts),
        "small": lambda chart: any(isinstance(mark, Grid) for mark in chart.marks),
    }
    template = resources.files(__package__).joinpath("report.html.j2").read_text("utf-8")
    charts = report.charts()
    most = _MOST_SHAPES // max(len(charts), 1)
    drawings = {chart.key: to_svg(chart, inline=True, most_shapes=most) for chart in charts}
    return environment.from_string(template).render(report=report, drawings=drawings)


def _to_markdown(report: Report, folder: str) -> str:
    """Write a report as Markdown that links to its charts in a folder."""
    figures = Table(["", ""], [list(item) for item in report.figures.items()], numeric=1)
    parts = [
        f"# {_escape(report.title)}",
        _escape(report.description),
        f"**{_escape(report.answer)}**",
        "\n".join(f"- {_escape(caveat)}" for caveat in report.caveats),
        _table(figures),
    ]
    for title, blocks in report.contents.items():
        parts += [f"## {_escape(title)}"] if blocks else []
        parts += [_block(block, folder) for block in blocks]
    parts.append(_escape(report.made))
    return "\n\n".join(part for part in parts if part) + "\n"


def _block(block: Block, folder: str) -> str:
    if isinstance(block, Charts):
        return "\n\n".join(_chart(chart, folder) for chart in block.charts)
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Warning):
        return f"> **Note:** {_escape(block.text)}"
    if isinstance(block, str):
        return _escape(block)
    # More backticks than the text has in a row.
    longest = max(map(len, re.findall("`+", block.text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{block.language}\n{block.text.rstrip()}\n{fence}"


def _chart(chart: Chart, folder: str) -> str:
    head = f"### {_escape(chart.title)}\n\n![{_escape(chart.alt)}](<{folder}/{chart.key}.svg>)"
    return f"{head}\n\n{_escape(chart.caption)}".rstrip()


def _table(table: Table) -> str:
    texts = len(table.header) - table.numeric
    rule = ["---"] * texts + ["---:"] * table.numeric
    rows = [[*map(_escape, row)] for row in (table.header, *table.rows)]
    lines = [f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:])]
    caption = [f"**{_escape(table.caption)}**", ""] if table.caption else []
    return "\n".join([*caption, *lines])


def _escape(text: str) -> str:
    """Write text so that Markdown shows it as it is, on one line."""
    text = shown(" ".join(text.split()), len(text) + 1)
    return re.sub(r"([\\`*_{}\[\]<>#|~&$])", r"\\\1", text)
