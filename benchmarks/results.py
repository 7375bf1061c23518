"""A run as a JSON file."""

import json
import os
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.candidates import PLAIN
from benchmarks.goals import Verdict
from benchmarks.measurement import Measurement
from benchmarks.timing import MODES


def write_results(path: Path, content: dict[str, Any]) -> None:
    """Write the file as a whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(json.dumps(content, indent=1) + "\n")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def describe_measurement(measurement: Measurement) -> dict[str, Any]:
    """One shape: for each candidate every round's milliseconds, ratios to plain, and memory."""
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


def summarise(measurements: list[Measurement], verdicts: list[Verdict]) -> dict[str, Any]:
    """One memory format: geometric means over the shapes, and the goals."""
    names = [name for name in measurements[0].peaks if name != PLAIN]
    means: dict[str, dict[str, float]] = {
        mode: {
            name: statistics.geometric_mean(m.time_ratio(mode, name) for m in measurements)
            for name in names
        }
        for mode in MODES
    }
    means["memory"] = {
        name: statistics.geometric_mean(m.memory_ratio(name) for m in measurements)
        for name in names
    }
    return {
        "memory_format": measurements[0].memory_format,
        "geometric_means": means,
        "goals": [
            {
                "goal": verdict.goal.text,
                "limit": verdict.goal.limit,
                "at_most": verdict.goal.at_most,
                "measured": verdict.figure,
                "worst": verdict.worst_figure,
                "worst_shape": asdict(verdict.worst_shape),
                "reached": verdict.reached,
            }
            for verdict in verdicts
        ],
    }
