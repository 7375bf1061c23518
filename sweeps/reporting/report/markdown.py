"""A report as Markdown, its charts as SVG files beside it."""

import re
from collections.abc import Iterable

from sweeps.reporting.report.chart import Chart, shown
from sweeps.reporting.report.document import Code, Report, Table, Warning
from sweeps.reporting.report.svg import to_svg


def to_markdown(report: Report, folder: str) -> tuple[str, dict[str, str]]:
    """Write a report as Markdown.

    Args:
        report: the report.
        folder: the folder of the charts, as the text is to link to it.

    Returns:
        The text; and the charts' SVG by file name.
    """
    parts = [f"# {_escape(report.title)}"]
    if report.description:
        parts.append(_escape(report.description))
    parts.append(f"**{_escape(report.answer)}**")
    parts.append("\n".join(f"- {_escape(caveat)}" for caveat in report.caveats))
    figures = Table(["", ""], [list(item) for item in report.figures.items()], numeric=1)
    parts.append(_table(figures))
    for section in report.sections:
        parts.append(f"## {_escape(section.title)}")
        for block in section.blocks:
            if isinstance(block, str):
                parts.append(_escape(block))
            elif isinstance(block, Warning):
                parts.append(f"> **Note:** {_escape(block.text)}")
            elif isinstance(block, Code):
                parts.append(_code(block))
            elif isinstance(block, Table):
                parts.append(_table(block))
            else:
                parts += [_chart(chart, folder) for chart in block.charts]
    parts.append(_escape(report.made))
    files = {f"{chart.key}.svg": to_svg(chart, inline=False) for chart in report.charts()}
    return "\n\n".join(part for part in parts if part) + "\n", files


def _chart(chart: Chart, folder: str) -> str:
    lines = [f"### {_escape(chart.title)}", f"![{_escape(chart.alt)}](<{folder}/{chart.key}.svg>)"]
    return "\n\n".join([*lines, _escape(chart.caption)]).rstrip()


def _code(block: Code) -> str:
    """Fence text with more backticks than it has in a row."""
    longest = max(map(len, re.findall("`+", block.text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{block.language}\n{block.text.rstrip()}\n{fence}"


def _table(table: Table) -> str:
    texts = len(table.header) - table.numeric
    rule = ["---" if index < texts else "---:" for index in range(len(table.header))]
    rows = [_row(map(_escape, table.header)), _row(rule)]
    rows += [_row(map(_escape, row)) for row in table.rows]
    caption = [f"**{_escape(table.caption)}**", ""] if table.caption else []
    return "\n".join([*caption, *rows])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    """Write text so that Markdown shows it as it is, on one line."""
    text = shown(" ".join(text.split()), len(text) + 1)
    return re.sub(r"([\\`*_{}\[\]<>#|~&$])", r"\\\1", text)
