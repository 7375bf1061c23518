"""Charts as SVG, drawn by matplotlib: text stays text, colors follow the page's scheme."""

import io
import re
import warnings
from collections.abc import Sequence
from functools import partial
from math import ceil, log10
from typing import Any
from xml.sax.saxutils import quoteattr

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from sweeps.reporting.report.chart import (
    GRAY,
    PALETTE,
    Bars,
    Chart,
    Grid,
    Intervals,
    Line,
    Points,
    shown,
)

#: A page's variable by the color that it replaces, which is used where there is no such page.
_INK, _RULE = "#1f2328", "#d8dbdf"
_VARIABLES = {_INK: "ink", _RULE: "rule"} | {color: name for name, color in PALETTE.items()}

# In inches of 72 points, which a page scales to its width: about 360 pixels.
_WIDTH, _HEIGHT = 3.75, 2.4
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "text.color": _INK,
    "axes.edgecolor": GRAY,
    "axes.labelcolor": _INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _RULE,
    "grid.linewidth": 0.5,
    "xtick.color": GRAY,
    "ytick.color": GRAY,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "savefig.transparent": True,
}
_MARKERS = {
    "circle": "o",
    "square": "s",
    "triangle": "v",
    "diamond": "D",
    "cross": "x",
    "star": "*",
}


def to_svg(chart: Chart, *, inline: bool, most_shapes: int = 600) -> str:
    """Draw a chart.

    Args:
        chart: the chart.
        inline: whether it becomes a part of an HTML page, rather than a file.
        most_shapes: so many points are drawn as shapes; more become pixels, which take less.

    Returns:
        The same text for the same chart.
    """
    style = {**_STYLE, "svg.hashsalt": chart.key}
    with mpl.rc_context(style), warnings.catch_warnings():
        # Of letters that matplotlib's own font lacks; the reader's may have them.
        warnings.filterwarnings("ignore", message="Glyph")
        file = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        _draw(chart, most_shapes).savefig(file, format="svg", dpi=144, metadata=nothing)
    return _polish(file.getvalue(), chart, inline)


def _draw(chart: Chart, most_shapes: int) -> Figure:
    square = any(isinstance(mark, Grid) for mark in chart.marks)
    bars = [len(mark.names) for mark in chart.marks if isinstance(mark, Bars | Intervals)]
    names = [shown(m.name) for m in chart.marks if isinstance(m, Line | Points) and m.name]
    columns = 2 if max(map(len, names), default=0) <= 22 else 1
    height = 0.5 + 0.22 * max(bars) if bars else _HEIGHT + 0.16 * ceil(len(names) / columns)
    size = (1.8, 1.8) if square else (_WIDTH, height)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    _scale_x(axes, chart, bool(bars))
    as_pixels = sum(len(m.x) for m in chart.marks if isinstance(m, Points)) > most_shapes
    handles = []
    for mark in chart.marks:
        if isinstance(mark, Line):
            handles.append(_draw_line(axes, mark))
        elif isinstance(mark, Points):
            handles.append(_draw_points(axes, mark, as_pixels))
        elif isinstance(mark, Bars):
            axes.barh(range(len(mark.names)), mark.values, height=0.62, color=mark.color)
            _name_rows(axes, mark.names)
        elif isinstance(mark, Intervals):
            _draw_intervals(axes, mark)
        else:
            _draw_grid(axes, mark)
    axes.set_xlabel(shown(chart.x_title, 60))
    axes.set_ylabel(shown(chart.y_title))
    if chart.x_ticks is not None:
        labels = [shown(label, 14) for label in chart.x_ticks.values()]
        axes.set_xticks([*chart.x_ticks], labels, minor=False)
    if chart.x_range is not None:
        axes.set_xlim(*chart.x_range)
    if chart.y_range is not None:
        axes.set_ylim(*chart.y_range)
    if names:
        lines = [m for m in chart.marks if isinstance(m, Line | Points)]
        named = [handle for handle, mark in zip(handles, lines, strict=True) if mark.name]
        # A label that begins with an underscore would be left out.
        labels = [f"\u2060{name}" for name in names]
        figure.legend(named, labels, loc="outside lower left", ncols=columns)
    return figure


def _scale_x(axes: Axes, chart: Chart, has_rows: bool) -> None:
    places = [x for mark in chart.marks if isinstance(mark, Line | Points) for x in mark.x]
    if chart.log_x:
        axes.set_xscale("log")
        ends = chart.x_range or places
        decades = log10(max(ends) / min(ends)) if ends else 0.0
        # As numbers: powers would be written in TeX.
        subs = (1, 2, 5) if decades < 2.5 else (1,)
        axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=7))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    elif not has_rows:
        # An axis that counts epochs, trials or seeds has no halves.
        counts = all(float(x).is_integer() for x in places)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=counts))


def _draw_line(axes: Axes, line: Line) -> Line2D:
    if line.low is not None and line.high is not None:
        axes.fill_between(line.x, line.low, line.high, color=line.color, alpha=0.18, linewidth=0)
    return axes.plot(
        line.x,
        line.y,
        color=line.color,
        linestyle=line.dash,
        linewidth=line.width,
        drawstyle="steps-post" if line.steps else "default",
        marker="o" if len(line.x) == 1 else None,
        markersize=3,
    )[0]


def _draw_points(axes: Axes, points: Points, as_pixels: bool) -> Line2D:
    return axes.plot(
        points.x,
        points.y,
        color=points.color,
        alpha=0.85,
        linestyle="none",
        marker=_MARKERS[points.shape],
        markersize=points.size,
        markeredgewidth=0.8,
        fillstyle="full" if points.filled else "none",
        rasterized=as_pixels,
        clip_on=False,
    )[0]


def _draw_intervals(axes: Axes, intervals: Intervals) -> None:
    axes.axvspan(-intervals.margin, intervals.margin, color=GRAY, alpha=0.18, linewidth=0)
    axes.axvline(0, color=GRAY, linewidth=0.8)
    for place, low in enumerate(intervals.low):
        value, high = intervals.values[place], intervals.high[place]
        color, marker = intervals.colors[place], _MARKERS[intervals.shapes[place]]
        axes.plot([low, high], [place, place], color=color, linewidth=1.6)
        axes.plot([value], [place], color=color, marker=marker, markersize=5.5)
    _name_rows(axes, intervals.names)


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [shown(name, 30) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def _draw_grid(axes: Axes, grid: Grid) -> None:
    for top, row in enumerate(grid.rows):
        for left, value in enumerate(row):
            square = partial(Rectangle, (left, top), 0.94, 0.94)
            axes.add_patch(square(color=grid.color, alpha=value, linewidth=0))
            axes.add_patch(square(fill=False, edgecolor=_RULE, linewidth=0.5))
    axes.set(xlim=(-0.05, len(grid.rows[0])), ylim=(len(grid.rows), -0.05), aspect="equal")
    axes.axis("off")


def _polish(svg: str, chart: Chart, inline: bool) -> str:
    """Give the chart a text for those who cannot see it; let a page set its colors and font."""
    svg = svg[svg.index("<svg") :]
    # Groups are named alike in all charts, and nothing refers to them.
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r"\n *", " ", svg)
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, f"var(--{variable}, {color})")
    head, body = svg.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    assert box is not None
    alone = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
    label = quoteattr(shown(chart.alt, 2000))
    return f'<svg {"" if inline else alone}{box[0]} role="img" aria-label={label}>{body}'
