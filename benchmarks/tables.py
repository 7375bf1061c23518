"""Measurements as tables for people."""

import statistics
from collections.abc import Callable

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from benchmarks.candidates import PLAIN
from benchmarks.goals import Verdict
from benchmarks.measurement import Measurement
from benchmarks.timing import FORWARD, STEP

PIPE_WIDTH = 250


def make_console() -> Console:
    """A console for stdout that breaks and cuts no table, which terminals may wrap."""
    console = Console(highlight=False)
    wide = console.is_terminal and console.width >= PIPE_WIDTH
    return console if wide else Console(highlight=False, width=PIPE_WIDTH)


def print_plain(console: Console, content: RenderableType) -> None:
    """Print without the spaces that fill a table's lines."""
    with console.capture() as captured:
        console.print(content)
    for line in captured.get().splitlines():
        console.out(line.rstrip(), highlight=False)


def make_table(title: str) -> Table:
    """An empty table in the style of all."""
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")


def results_table(
    measurements: list[Measurement],
    title: str,
    plain_header: str = f"{PLAIN}\n3x3",
    with_means: bool = True,
) -> Table:
    """A section each for forward, step and peak memory, a line a shape.

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
    for mode in (FORWARD, STEP):
        _add_section(
            table,
            f"{mode}, ms",
            measurements,
            others,
            lambda measurement, mode=mode: f"{measurement.median_ms(mode, PLAIN):.2f}",
            lambda measurement, name, mode=mode: measurement.time_ratio(mode, name),
            with_means,
        )
    _add_section(
        table,
        "peak memory of a step, MiB",
        measurements,
        others,
        lambda measurement: f"{measurement.peaks[PLAIN].total / 2**20:.1f}",
        Measurement.memory_ratio,
        with_means,
    )
    _add_section(
        table,
        "of it above its start, MiB",
        measurements,
        others,
        lambda measurement: f"{measurement.peaks[PLAIN].above_start / 2**20:.1f}",
        Measurement.memory_ratio_above_start,
        with_means,
    )
    return table


def verdicts_table(verdicts: list[Verdict], memory_format: str) -> Table:
    """The goals of one memory format."""
    table = make_table(f"{memory_format}: goals ({STEP})")
    table.add_column("goal")
    for column in ("limit", "measured", "worst"):
        table.add_column(column, justify="right")
    table.add_column("worst at", no_wrap=True)
    table.add_column("")
    for verdict in verdicts:
        table.add_row(
            verdict.goal.text,
            f"{'<=' if verdict.goal.at_most else '>='} {verdict.goal.limit:.2f}",
            f"{verdict.figure:.2f}",
            f"{verdict.worst_figure:.2f}",
            str(verdict.worst_shape),
            Text("reached", "green") if verdict.reached else Text("missed", "bold red"),
        )
    return table


def format_report(measurements: list[Measurement], verdicts: list[Verdict]) -> Group:
    """Everything about one memory format."""
    format_name = measurements[0].memory_format
    return Group(
        results_table(measurements, f"{format_name}: times and memory over plain's"),
        verdicts_table(verdicts, format_name),
    )


def _add_section(
    table: Table,
    title: str,
    measurements: list[Measurement],
    names: list[str],
    plain: Callable[[Measurement], str],
    figure: Callable[[Measurement, str], float],
    with_means: bool,
) -> None:
    table.add_row(Text(title, "bold"))
    for measurement in measurements:
        ratios = [
            f"{figure(measurement, name):.2f}" if name in measurement.peaks else "-"
            for name in names
        ]
        table.add_row(str(measurement.shape), plain(measurement), *ratios)
    if with_means:
        means = [statistics.geometric_mean(figure(m, name) for m in measurements) for name in names]
        table.add_row("geometric mean", "", *(f"{mean:.2f}" for mean in means), style="bold")
    table.add_section()
