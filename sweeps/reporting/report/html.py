"""A report as one HTML file that needs nothing else: no script, no font, no network."""

from importlib import resources

import jinja2

from sweeps.reporting.report.chart import Grid
from sweeps.reporting.report.document import Charts, Code, Report, Warning
from sweeps.reporting.report.svg import to_svg

# Of points in all charts together: each takes some 200 bytes.
_MOST_SHAPES = 4000


def to_html(report: Report) -> str:
    """Write a report as an HTML page."""
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
