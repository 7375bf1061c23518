"""A study's report: one file that a reader without the project understands."""

from pathlib import Path

import optuna

from storage import HardenedStorage, batch
from sweeps.errors import SweepsError
from sweeps.reporting.report.document import Report
from sweeps.spec.files import check_writable, write_whole

#: Of a report in HTML, and of one in Markdown: how a file says that it is one.
_HTML_MARK = '<meta name="generator" content="sweeps report">'
_MARKDOWN_MARK = "\nMade by sweeps report "


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
        raise SweepsError(f"{path}: a report is a file that ends in .html or .md")
    check_writable(path)
    if not force and path.exists() and not _is_report(path):
        raise SweepsError(
            f"{path}: exists and is no report; name another, or replace it with --force"
        )
    if path.suffix == ".html":
        from sweeps.reporting.report.html import to_html

        write_whole(path, to_html(report).encode("utf-8", "replace"))
        return
    from sweeps.reporting.report.markdown import to_markdown

    folder = path.with_name(f"{path.stem}-charts")
    text, charts = to_markdown(report, folder.name)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise SweepsError(f"{folder}: cannot be created: {error.strerror}") from None
    for name, svg in charts.items():
        write_whole(folder / name, svg.encode("utf-8", "replace"))
    write_whole(path, text.encode("utf-8", "replace"))


def show_in_dashboard(report: Report, storage: HardenedStorage, study: optuna.Study) -> None:
    """Put a report's charts on the study's page of the dashboard, in place of older ones."""
    from optuna_dashboard import save_plotly_graph_object

    from sweeps.reporting.report.plotly import Figure

    def save() -> None:
        for chart in report.charts():
            save_plotly_graph_object(study, Figure(chart), graph_object_id=chart.key)

    batch(storage, study._study_id, save)


def _is_report(path: Path) -> bool:
    text = path.read_text("utf-8", errors="replace")
    return _HTML_MARK in text or _MARKDOWN_MARK in text
