"""Charts for the dashboard, which draws them with its own plotly."""

import json
import math
from dataclasses import dataclass
from typing import Any

from sweeps.reporting.report.chart import GRAY, Bars, Chart, Grid, Intervals, Line, Mark, Points

_DASHES = {"solid": "solid", "dashed": "dash", "dotted": "dot", "dashdot": "dashdot"}
_SYMBOLS = {
    "circle": "circle",
    "triangle": "triangle-down",
    "diamond": "diamond",
    "star": "star",
    "square": "square",
    "cross": "x",
}


@dataclass(frozen=True)
class Figure:
    """What the dashboard needs of ``plotly.graph_objects.Figure``."""

    chart: Chart

    def to_json(self) -> str:
        """Write the chart in plotly's JSON, https://plotly.com/javascript/reference/."""
        traces = [trace for mark in self.chart.marks for trace in _traces(mark)]
        return json.dumps({"data": traces, "layout": _layout(self.chart)}, allow_nan=False)


def _traces(mark: Mark) -> list[dict[str, Any]]:
    if isinstance(mark, Line):
        shape = "hv" if mark.steps else "linear"
        line = {
            "color": mark.color,
            "width": mark.width,
            "dash": _DASHES[mark.dash],
            "shape": shape,
        }
        named = {"name": mark.name, "showlegend": bool(mark.name)}
        drawn = {"type": "scatter", "mode": "lines", "x": [*mark.x], "y": [*mark.y], "line": line}
        if mark.low is None or mark.high is None:
            return [{**drawn, **named}]
        band = {
            "type": "scatter",
            "mode": "lines",
            "x": [*mark.x, *reversed(mark.x)],
            "y": [*mark.low, *reversed(mark.high)],
            "line": {"width": 0},
            "fill": "toself",
            "fillcolor": f"{mark.color}2e",
            "hoverinfo": "skip",
            "showlegend": False,
        }
        return [band, {**drawn, **named}]
    if isinstance(mark, Points):
        symbol = _SYMBOLS[mark.shape] + ("" if mark.filled else "-open")
        return [
            {
                "type": "scatter",
                "mode": "markers",
                "x": [*mark.x],
                "y": [*mark.y],
                "text": [_plain(label) for label in mark.labels],
                "marker": {"color": mark.color, "symbol": symbol, "size": 2 * mark.size},
                "name": mark.name,
                "showlegend": bool(mark.name),
            }
        ]
    if isinstance(mark, Bars):
        names = [_plain(name) for name in mark.names]
        bars = {"x": [*mark.values], "y": names, "marker": {"color": mark.color}}
        return [{"type": "bar", "orientation": "h", **bars}]
    if isinstance(mark, Intervals):
        return [_interval(mark, place) for place in range(len(mark.names))]
    scale = [[0, f"{mark.color}00"], [1, mark.color]]
    rows = [[*row] for row in mark.rows]
    return [{"type": "heatmap", "z": rows, "colorscale": scale, "zmin": 0, "zmax": 1}]


def _interval(mark: Intervals, place: int) -> dict[str, Any]:
    value = mark.values[place]
    ends = {"array": [mark.high[place] - value], "arrayminus": [value - mark.low[place]]}
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [value],
        "y": [_plain(mark.names[place])],
        "error_x": {"type": "data", "symmetric": False, **ends},
        "marker": {
            "color": mark.colors[place],
            "symbol": _SYMBOLS[mark.shapes[place]],
            "size": 10,
        },
        "showlegend": False,
    }


def _layout(chart: Chart) -> dict[str, Any]:
    x: dict[str, Any] = {"title": {"text": _plain(chart.x_title)}}
    y: dict[str, Any] = {"title": {"text": _plain(chart.y_title)}}
    if chart.log_x:
        x["type"] = "log"
    if chart.x_ticks is not None:
        x |= {"tickvals": [*chart.x_ticks], "ticktext": [_plain(t) for t in chart.x_ticks.values()]}
    if chart.x_range is not None:
        x["range"] = [math.log10(end) if chart.log_x else end for end in chart.x_range]
    if chart.y_range is not None:
        y["range"] = [*chart.y_range]
    if any(isinstance(mark, Bars | Intervals | Grid) for mark in chart.marks):
        y["autorange"] = "reversed"
    if any(isinstance(mark, Grid) for mark in chart.marks):
        y["scaleanchor"] = "x"
    layout: dict[str, Any] = {"title": {"text": _plain(chart.title)}, "xaxis": x, "yaxis": y}
    margins = [mark.margin for mark in chart.marks if isinstance(mark, Intervals)]
    if margins:
        place = {"x0": -margins[0], "x1": margins[0], "y0": 0, "y1": 1, "yref": "paper"}
        shade = {"fillcolor": f"{GRAY}2e", "line": {"width": 0}, "layer": "below"}
        layout["shapes"] = [{"type": "rect", **place, **shade}]
    return layout


def _plain(text: str) -> str:
    """Plotly takes some HTML in its texts."""
    return text.replace("&", "&amp;").replace("<", "&lt;")
