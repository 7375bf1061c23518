"""Speed and memory of the interpodilated convolution compared with a plain convolution.

``make bench-layer``, or ``python -m benchmarks.layer`` in the project's folder.
"""

import importlib.util
import logging
import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Group
from rich.table import Table
from rich.text import Text
from torch import nn

from benchmarks.commands import (
    QUICK_BATCH,
    Indices,
    clock_option,
    describe_environment,
    device_option,
    dtype_option,
    format_environment,
    json_option,
    make_console,
    make_table,
    print_tables,
    quick_option,
    write_results,
)
from benchmarks.measurement import (
    CLOCKS,
    MEMORY,
    MEMORY_FORMATS,
    MODES,
    PLAIN,
    STEP,
    Candidate,
    Measurement,
    make_workloads,
    measure,
)
from benchmarks.tables import describe_measurement, mean_ratio, results_table
from interpodil import InterpodilConv2d

LAYER = "7x7 auto"
# What the layer's second step costs by itself at stride 1: its lower limit there.
DILATED = "dilated"
DCLS = "dcls"
DCLS_VERSIONS = ("gauss", "max", "v1")
# Slow candidates are measured in every third round.
SLOW_EVERY = 3

# Arguments by effective size, and the algorithms that apply beside "expanded".
SETTINGS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "7x7": ({}, ("tent_first", "separable_tent", "axis_first")),
    "5x5": ({"growth": 5}, ("axis_first",)),
    "11x11": ({"fade": 3}, ("axis_first",)),
}

# By memory format: the goal for the layer's time over the plain convolution's.
STEP_GOALS = {"channels_last": 1.05, "contiguous": 1.10}
# Where "auto" chooses the expanded form the two run the same code, and noise decides.
NOISE = 0.03


@dataclass(frozen=True)
class ImageShape:
    """A 3x3 convolution with a padding of 1 on square images of ``size`` pixels a side."""

    batch: int
    in_channels: int
    out_channels: int
    size: int
    stride: int

    @property
    def input_size(self) -> tuple[int, ...]:
        """Size of the input's every axis."""
        return (self.batch, self.in_channels, self.size, self.size)

    @property
    def is_first_layer(self) -> bool:
        """Whether the input is an image, which needs no gradient."""
        return self.in_channels == 3

    def __str__(self) -> str:
        stride = f" /{self.stride}" if self.stride > 1 else ""
        return f"{'x'.join(map(str, self.input_size))} -> {self.out_channels}{stride}"


SHAPES = (
    ImageShape(128, 3, 35, 32, 1),
    ImageShape(128, 35, 35, 16, 1),
    ImageShape(64, 64, 64, 32, 1),
    ImageShape(16, 128, 128, 28, 1),
    ImageShape(16, 3, 64, 224, 1),
    ImageShape(16, 3, 64, 224, 2),
    ImageShape(16, 3, 64, 224, 4),
    ImageShape(16, 64, 128, 56, 2),
    ImageShape(16, 256, 64, 28, 1),
    ImageShape(1, 8, 8, 8, 1),
)
SMALL = SHAPES[-1]
SHAPES_HELP = "Shapes to measure, by index: " + ", ".join(f"{i}: {s}" for i, s in enumerate(SHAPES))


@dataclass(frozen=True)
class Goal:
    """A goal for a ratio, and what was measured.

    Attributes:
        name: the ratio and how it is summarized over the shapes.
        limit: the largest ratio that reaches the goal.
        measured: the ratio.
        worst: the largest ratio of a shape.
        worst_shape: that shape.
    """

    name: str
    limit: float
    measured: float
    worst: float
    worst_shape: ImageShape

    @property
    def reached(self) -> bool:
        """Whether the ratio is within the limit."""
        return self.measured <= self.limit


@click.command()
@device_option
@dtype_option
@click.option(
    "--memory-format",
    "memory_formats",
    type=click.Choice(list(MEMORY_FORMATS)),
    multiple=True,
    default=tuple(MEMORY_FORMATS),
    help="Give it twice for both, as is the default.",
)
@click.option("--shapes", type=Indices(SHAPES), default=SHAPES, help=SHAPES_HELP)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=9,
    show_default=True,
    help=f"Rounds after the warm-up; slow candidates take part in every {SLOW_EVERY}rd.",
)
@click.option("--algorithms", is_flag=True, help="Measure each algorithm that applies, by name.")
@click.option(
    "--dcls-version",
    type=click.Choice(DCLS_VERSIONS),
    default=DCLS_VERSIONS[0],
    show_default=True,
    help="Interpolation of DCLS; the default is the package's own.",
)
@clock_option
@json_option
@quick_option
def main(
    device: str,
    dtype: str,
    memory_formats: tuple[str, ...],
    shapes: tuple[ImageShape, ...],
    rounds: int,
    algorithms: bool,
    dcls_version: str,
    clock: str,
    json_path: Path | None,
    quick: bool,
) -> None:
    """Compare InterpodilConv2d with nn.Conv2d, with its expanded form and with DCLS.

    All candidates of a shape are measured in turn, round after round. A ratio is the median over
    the rounds of a candidate's time over the plain convolution's in the same round.
    """
    if quick:
        rounds = 1
        shapes = tuple(replace(s, batch=min(s.batch, QUICK_BATCH)) for s in shapes)
    candidates, left_out = choose_candidates(algorithms, dcls_version)
    console = make_console()
    header = {
        "benchmark": "layer",
        "quick": quick,
        "dtype": dtype,
        "rounds": rounds,
        "clock": clock,
        "candidates": {candidate.name: {"every": candidate.every} for candidate in candidates},
        "left_out": left_out,
        "dcls_version": dcls_version,
        "environment": describe_environment(device),
    }
    for line in _notes(header):
        console.print(line, markup=False, soft_wrap=True)
    described, summaries = [], []
    for memory_format in dict.fromkeys(memory_formats):
        measurements = []
        for number, shape in enumerate(shapes, 1):
            click.echo(f"{memory_format} {number}/{len(shapes)}: {shape}", err=True)
            workloads = make_workloads(candidates, shape, memory_format, device, dtype)
            measurements.append(
                measure(workloads, shape, memory_format, rounds, quick, CLOCKS[clock])
            )
            del workloads  # before the next ones are made
        goals = check_goals(measurements)
        title = f"{memory_format}: times and memory over plain's"
        table = results_table(measurements, title)
        print_tables(console, Group(table, _goals_table(goals, memory_format)))
        described += [describe_measurement(measurement) for measurement in measurements]
        summaries.append(_summarize(measurements, goals))
    if json_path:
        write_results(json_path, header | {"summaries": summaries, "measurements": described})


def choose_candidates(
    every_algorithm: bool, dcls_version: str
) -> tuple[list[Candidate], dict[str, str]]:
    """Return the candidates, the plain convolution first, and why others were left out.

    Args:
        every_algorithm: whether to measure every algorithm that applies, by name.
        dcls_version: the interpolation of DCLS, one of ``DCLS_VERSIONS``.
    """
    candidates = [
        Candidate(PLAIN, partial(_build, nn.Conv2d)),
        Candidate(DILATED, partial(_build, nn.Conv2d, padding=2, dilation=2)),
    ]
    for size, (arguments, algorithms) in SETTINGS.items():
        for algorithm in ("auto", "expanded", *(algorithms if every_algorithm else ())):
            build = partial(_build, InterpodilConv2d, algorithm=algorithm, **arguments)
            every = SLOW_EVERY if algorithm == "expanded" else 1
            candidates.append(Candidate(f"{size} {algorithm}", build, every))
    if importlib.util.find_spec("DCLS") is None:
        return candidates, {DCLS: "the package dcls is not installed (the extra `bench` has it)"}
    candidates.append(Candidate(DCLS, partial(_build_dcls, dcls_version), SLOW_EVERY))
    return candidates, {}


def _build(layer: Callable[..., nn.Module], shape: ImageShape, **arguments: Any) -> nn.Module:
    shared = {"stride": shape.stride, "padding": 1, "bias": False}
    return layer(shape.in_channels, shape.out_channels, 3, **(shared | arguments))


def _build_dcls(version: str, shape: ImageShape) -> nn.Module:
    """Build nine weights with learnt positions in 7x7 pixels (Khalfaoui-Hassani et al. 2023)."""
    from DCLS.construct.modules import Dcls2d

    # It logs at every construction that its depthwise kernel for CUDA does not apply.
    logging.disable(logging.WARNING)
    try:
        return Dcls2d(
            shape.in_channels,
            shape.out_channels,
            kernel_count=9,
            stride=shape.stride,
            padding=3,
            dilated_kernel_size=7,
            bias=False,
            version=version,
        )
    finally:
        logging.disable(logging.NOTSET)


def check_goals(measurements: list[Measurement]) -> list[Goal]:
    """Compare the measurements in one memory format with the goals for the layer.

    The small shape has a goal of its own and does not count in the others.
    """
    mean = statistics.geometric_mean
    small = [m for m in measurements if m.shape.batch == SMALL.batch]
    large = [m for m in measurements if m not in small]
    goals: list[Goal] = []

    def add(
        name: str,
        chosen: list[Measurement],
        ratio: Callable[[Measurement], float],
        summary: Callable[[Iterable[float]], float],
        limit: float,
    ) -> None:
        if chosen:
            ratios = [ratio(measurement) for measurement in chosen]
            worst = max(ratios)
            shape = chosen[ratios.index(worst)].shape
            goals.append(Goal(name, limit, summary(ratios), worst, shape))

    def time(name: str, other: str) -> Callable[[Measurement], float]:
        return lambda measurement: measurement.ratio(STEP, name, other)

    limit = STEP_GOALS[measurements[0].memory_format]
    add(f"{LAYER}: time / {PLAIN}, mean", large, time(LAYER, PLAIN), mean, limit)
    add(f"{LAYER}: time / {PLAIN}, each shape", large, time(LAYER, PLAIN), max, 1.3)
    add(f"{LAYER}: time / {PLAIN}, small", small, time(LAYER, PLAIN), max, 2.0)
    name = f"{LAYER}: peak memory / {PLAIN}, each shape"
    add(name, large, lambda measurement: measurement.ratio(MEMORY, LAYER), max, 1.5)
    for size in ("5x5", "11x11"):
        name = f"{size} auto: time / expanded, mean (1, and {NOISE:.0%} for noise)"
        add(name, large, time(f"{size} auto", f"{size} expanded"), mean, 1 + NOISE)
    return goals


def _goals_table(goals: list[Goal], memory_format: str) -> Table:
    table = make_table(f"{memory_format}: goals ({STEP})")
    table.add_column("goal")
    for column in ("limit", "measured", "worst"):
        table.add_column(column, justify="right")
    table.add_column("worst at", no_wrap=True)
    table.add_column("")
    for goal in goals:
        table.add_row(
            goal.name,
            f"<= {goal.limit:.2f}",
            f"{goal.measured:.2f}",
            f"{goal.worst:.2f}",
            str(goal.worst_shape),
            Text("reached", "green") if goal.reached else Text("missed", "bold red"),
        )
    return table


def _summarize(measurements: list[Measurement], goals: list[Goal]) -> dict[str, Any]:
    """Return one memory format's geometric means over the shapes, and its goals."""
    names = [name for name in measurements[0].peaks if name != PLAIN]
    return {
        "memory_format": measurements[0].memory_format,
        "geometric_means": {
            figure: {name: mean_ratio(measurements, figure, name) for name in names}
            for figure in (*MODES, MEMORY)
        },
        "goals": [asdict(goal) | {"reached": goal.reached} for goal in goals],
    }


def _notes(header: dict[str, Any]) -> Iterator[str]:
    """Yield the lines above the tables."""
    yield format_environment(header["environment"], header["dtype"])
    if header["quick"]:
        yield "A quick run: one sample each on two images. Its figures say nothing."
    slow = [name for name, entry in header["candidates"].items() if entry["every"] > 1]
    yield (
        f"{header['clock']} time; rounds after a warm-up: {header['rounds']}, all candidates in "
        f"turn, in every {SLOW_EVERY}rd round also the slow ones: {', '.join(slow)}"
    )
    yield (
        "forward: as at inference. forward+backward: gradients of the weights and, unless the "
        "input is an image (3 channels), of the input"
    )
    yield (
        "peak memory: input, parameters and what torch allocates in forward+backward; buffers "
        "inside oneDNN are not seen"
    )
    yield f"{DILATED}: a plain 3x3 with a dilation of 2"
    if DCLS in header["candidates"]:
        yield f"dcls: Dcls2d, 9 weights in 7x7, version {header['dcls_version']!r}"
    for name, reason in header["left_out"].items():
        yield f"{name} left out: {reason}"


if __name__ == "__main__":
    main()
