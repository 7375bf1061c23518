"""Measurements of layers as a table for people and as entries of a result file."""

import statistics
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from benchmarks.commands import make_table
from benchmarks.measurement import MODES, PLAIN, Measurement


def results_table(
    measurements: list[Measurement],
    title: str,
    plain_header: str = f"{PLAIN}\n3x3",
    with_means: bool = True,
) -> Table:
    """Make a section each for forward, step and peak memory, a line a shape.

    Args:
        measurements: what was measured; not every candidate needs to be in each.
        title: stands above the table.
        plain_header: stands above the plain convolution's figures.
        with_means: whether each section ends in geometric means, for which every candidate must
            be in each measurement.
    """
    names = dict.fromkeys(name for measurement in measurements for name in measurement.peaks)
    others = [name for name in names if name != PLAIN]
    table = make_table(title)
    table.add_column("input -> out channels /stride", no_wrap=True)
    table.add_column(plain_header, justify="right", no_wrap=True)
    for name in others:
        table.add_column(name.replace(" ", "\n"), justify="right")
    for heading, plain, ratio in _SECTIONS:
        table.add_row(Text(heading, "bold"))
        for measurement in measurements:
            ratios = [
                f"{ratio(measurement, name):.2f}" if name in measurement.peaks else "-"
                for name in others
            ]
            table.add_row(str(measurement.shape), plain(measurement), *ratios)
        if with_means:
            means = [f"{mean_ratio(measurements, ratio, name):.2f}" for name in others]
            table.add_row("geometric mean", "", *means, style="bold")
        table.add_section()
    return table


def mean_ratio(measurements: list[Measurement], ratio: Any, name: str) -> float:
    """Return the geometric mean over the shapes of a candidate's ratio to the plain one."""
    return statistics.geometric_mean(ratio(measurement, name) for measurement in measurements)


def describe_measurement(measurement: Measurement) -> dict[str, Any]:
    """Return each candidate's milliseconds in every round, its ratios to plain, and its memory."""
    candidates = {}
    for name, peak in measurement.peaks.items():
        entry: dict[str, Any] = {}
        for mode in MODES:
            times = measurement.times[mode][name]
            entry[mode] = {
                "calls": measurement.calls[mode][name],
                "rounds": list(times),
                "ms": list(times.values()),
                "median_ms": measurement.median_ms(mode, name),
                "ratio": measurement.time_ratio(mode, name),
            }
        entry["memory"] = {
            "bytes_at_start": peak.at_start,
            "bytes_above_start": peak.above_start,
            "ratio": measurement.memory_ratio(name),
            "ratio_above_start": measurement.memory_ratio_above_start(name),
        }
        candidates[name] = entry
    return {
        "memory_format": measurement.memory_format,
        "shape": asdict(measurement.shape),
        "input_requires_grad": not measurement.shape.is_first_layer,
        "candidates": candidates,
    }


# Heading, the plain convolution's figure as text, and a candidate's ratio to it.
_SECTIONS = (
    *(
        (
            f"{mode}, ms",
            lambda measurement, mode=mode: f"{measurement.median_ms(mode, PLAIN):.2f}",
            lambda measurement, name, mode=mode: measurement.time_ratio(mode, name),
        )
        for mode in MODES
    ),
    (
        "peak memory of a step, MiB",
        lambda measurement: f"{measurement.peaks[PLAIN].total / 2**20:.1f}",
        Measurement.memory_ratio,
    ),
    (
        "of it above its start, MiB",
        lambda measurement: f"{measurement.peaks[PLAIN].above_start / 2**20:.1f}",
        Measurement.memory_ratio_above_start,
    ),
)
