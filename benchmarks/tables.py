"""Measurements of layers as tables and as entries of result files."""

import statistics
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from benchmarks.commands import make_table
from benchmarks.measurement import (
    FORWARD,
    MEMORY,
    MEMORY_ABOVE_START,
    MODES,
    PLAIN,
    STEP,
    Measurement,
)

# By figure: heading, unit and decimals of the plain convolution's column.
_SECTIONS = {
    FORWARD: (f"{FORWARD}, ms", 1, 2),
    STEP: (f"{STEP}, ms", 1, 2),
    MEMORY: ("peak memory of a step, MiB", 2**20, 1),
    MEMORY_ABOVE_START: ("of it above its start, MiB", 2**20, 1),
}


def results_table(
    measurements: list[Measurement],
    title: str,
    plain_header: str = f"{PLAIN}\n3x3",
    with_means: bool = True,
) -> Table:
    """Return a table with a section each for forward, step and peak memory.

    Args:
        measurements: a line each; not every candidate needs to be in each.
        title: the table's title.
        plain_header: the heading of the plain convolution's column.
        with_means: whether each section ends with geometric means, which needs every candidate in
            every measurement.
    """
    names = dict.fromkeys(name for measurement in measurements for name in measurement.peaks)
    others = [name for name in names if name != PLAIN]
    table = make_table(title)
    table.add_column("input -> out channels /stride", no_wrap=True)
    table.add_column(plain_header, justify="right", no_wrap=True)
    for name in others:
        table.add_column(name.replace(" ", "\n"), justify="right")
    for figure, (heading, unit, digits) in _SECTIONS.items():
        table.add_row(Text(heading, "bold"))
        for measurement in measurements:
            ratios = [
                f"{measurement.ratio(figure, name):.2f}" if name in measurement.peaks else "-"
                for name in others
            ]
            plain = f"{measurement.amount(figure) / unit:.{digits}f}"
            table.add_row(str(measurement.shape), plain, *ratios)
        if with_means:
            means = [f"{mean_ratio(measurements, figure, name):.2f}" for name in others]
            table.add_row("geometric mean", "", *means, style="bold")
        table.add_section()
    return table


def mean_ratio(measurements: list[Measurement], figure: str, name: str) -> float:
    """Return the geometric mean of a candidate's ratio to the plain convolution."""
    ratios = (measurement.ratio(figure, name) for measurement in measurements)
    return statistics.geometric_mean(ratios)


def describe_measurement(measurement: Measurement) -> dict[str, Any]:
    """Return every candidate's milliseconds by round, ratios to plain, and memory."""
    candidates = {}
    for name, peak in measurement.peaks.items():
        entry: dict[str, Any] = {}
        for mode in MODES:
            times = measurement.times[mode][name]
            entry[mode] = {
                "calls": measurement.calls[mode][name],
                "rounds": list(times),
                "ms": list(times.values()),
                "median_ms": measurement.amount(mode, name),
                "ratio": measurement.ratio(mode, name),
            }
        entry["memory"] = {
            "bytes_at_start": peak.at_start,
            "bytes_above_start": peak.above_start,
            "ratio": measurement.ratio(MEMORY, name),
            "ratio_above_start": measurement.ratio(MEMORY_ABOVE_START, name),
        }
        candidates[name] = entry
    return {
        "memory_format": measurement.memory_format,
        "shape": asdict(measurement.shape),
        "input_requires_grad": not measurement.shape.is_first_layer,
        "candidates": candidates,
    }
