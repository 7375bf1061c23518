"""A report's charts on the page of a study in the dashboard, which draws them with plotly."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna

from storage import HardenedStorage, batch
from sweeps.reporting.report.chart import GRAY, Bars, Chart, Grid, Intervals, Line, Mark, Points
from sweeps.reporting.report.document import Report

_DASHES = {"solid": "solid", "dashed": "dash", "dotted": "dot", "dashdot": "dashdot"}
# Others have the same name in plotly.
_SYMBOLS = {"triangle": "triangle-down", "cross": "x"}


def show_in_dashboard(report: Report, storage: HardenedStorage, study: optuna.Study) -> None:
    """Put a report's charts on the study's page of the dashboard, in place of older ones."""
    from optuna_dashboard import save_plotly_graph_object

    def save() -> None:
        for chart in report.charts():
            save_plotly_graph_object(study, _Figure(chart), graph_object_id=chart.key)

    batch(storage, study._study_id, save)


@dataclass(frozen=True)
class _Figure:
    """What the dashboard needs of ``plotly.graph_objects.Figure``."""

    chart: Chart

    def to_json(self) -> str:
        """Write the chart in plotly's JSON, https://plotly.com/javascript/reference/."""
        traces = [trace for mark in self.chart.marks for trace in _traces(mark)]
        return json.dumps({"data": traces, "layout": _layout(self.chart)}, allow_nan=False)


def _traces(mark: Mark) -> list[dict[str, Any]]:
    if isinstance(mark, Line):
        return _line(mark)
    if isinstance(mark, Points):
        marker = _marker(mark.color, mark.shape, 2 * mark.size)
        if not mark.filled:
            marker["symbol"] += "-open"
        labels = [*map(_plain, mark.labels)]
        return [_scatter(mark.x, mark.y, mark.name, mode="markers", text=labels, marker=marker)]
    if isinstance(mark, Intervals):
        return [_interval(mark, place) for place in range(len(mark.names))]
    if isinstance(mark, Bars):
        bars = {"x": [*mark.values], "y": [*map(_plain, mark.names)]}
        return [{"type": "bar", "orientation": "h", "marker": {"color": mark.color}, **bars}]
    scale = [[0, f"{mark.color}00"], [1, mark.color]]
    rows = [[*row] for row in mark.rows]
    return [{"type": "heatmap", "z": rows, "colorscale": scale, "zmin": 0, "zmax": 1}]


def _line(line: Line) -> list[dict[str, Any]]:
    stroke = {
        "color": line.color,
        "width": line.width,
        "dash": _DASHES[line.dash],
        "shape": "hv" if line.steps else "linear",
    }
    drawn = _scatter(line.x, line.y, line.name, mode="lines", line=stroke)
    if line.low is None or line.high is None:
        return [drawn]
    band = _scatter(
        [*line.x, *reversed(line.x)],
        [*line.low, *reversed(line.high)],
        "",
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=f"{line.color}2e",
        hoverinfo="skip",
    )
    return [band, drawn]


def _interval(mark: Intervals, place: int) -> dict[str, Any]:
    value = mark.values[place]
    ends = {"array": [mark.high[place] - value], "arrayminus": [value - mark.low[place]]}
    return _scatter(
        [value],
        [_plain(mark.names[place])],
        "",
        mode="markers",
        error_x={"type": "data", "symmetric": False, **ends},
        marker=_marker(mark.colors[place], mark.shapes[place], 10),
    )


def _scatter(x: Sequence[float], y: Sequence[Any], name: str, **fields: Any) -> dict[str, Any]:
    named = {"name": name, "showlegend": bool(name)}
    return {"type": "scatter", "x": [*x], "y": [*y], **named, **fields}


def _marker(color: str, shape: str, size: float) -> dict[str, Any]:
    return {"color": color, "symbol": _SYMBOLS.get(shape, shape), "size": size}


def _layout(chart: Chart) -> dict[str, Any]:
    x: dict[str, Any] = {"title": {"text": _plain(chart.x_title)}}
    y: dict[str, Any] = {"title": {"text": _plain(chart.y_title)}}
    if chart.log_x:
        x["type"] = "log"
    if chart.x_ticks is not None:
        x |= {"tickvals": [*chart.x_ticks], "ticktext": [*map(_plain, chart.x_ticks.values())]}
    if chart.x_range is not None:
        x["range"] = [math.log10(end) if chart.log_x else end for end in chart.x_range]
    if chart.y_range is not None:
        y["range"] = [*chart.y_range]
    if any(isinstance(mark, Bars | Intervals | Grid) for mark in chart.marks):
        y["autorange"] = "reversed"
    layout: dict[str, Any] = {"title": {"text": _plain(chart.title)}, "xaxis": x, "yaxis": y}
    for mark in chart.marks:
        if isinstance(mark, Grid):
            y["scaleanchor"] = "x"
        elif isinstance(mark, Intervals):
            place = {"x0": -mark.margin, "x1": mark.margin, "y0": 0, "y1": 1, "yref": "paper"}
            shade = {"fillcolor": f"{GRAY}2e", "line": {"width": 0}, "layer": "below"}
            layout["shapes"] = [{"type": "rect", **place, **shade}]
    return layout


def _plain(text: str) -> str:
    """Plotly takes some HTML in its texts."""
    return text.replace("&", "&amp;").replace("<", "&lt;")
