"""The measurements behind what the package decides by itself.

``make bench-choice``, or ``python -m benchmarks.choice`` in the project's folder.
"""

import gc
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

# The profiler, which tells the memory, else reports its own start and a missing GPU on stderr.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")

import click
import torch
from rich.console import Group
from rich.table import Table

from benchmarks.candidates import PLAIN
from benchmarks.cases import Case
from benchmarks.comparisons import COMPARISONS, Comparison
from benchmarks.decisions import Decision, decision
from benchmarks.environment import describe_environment, format_environment
from benchmarks.measurement import Measurement, make_workloads, measure_peaks
from benchmarks.operations import record
from benchmarks.options import (
    DTYPES,
    QUICK_BATCH,
    Indices,
    device_option,
    dtype_option,
    json_option,
    quick_option,
)
from benchmarks.results import describe_measurement, write_results
from benchmarks.tables import make_console, make_table, print_plain, results_table
from benchmarks.timing import MODES, STEP, measure_times

CASES = tuple((comparison, case) for comparison in COMPARISONS for case in comparison.cases)
CASES_HELP = "Cases to measure, by index: " + "; ".join(
    f"{index}: {case}" for index, (_, case) in enumerate(CASES)
)


@dataclass(frozen=True)
class Result:
    """A case's measurement, and by mode what the package decided."""

    measurement: Measurement
    decisions: dict[str, Decision]


@click.command()
@device_option
@dtype_option
@click.option("--cases", type=Indices(CASES), default=CASES, show_default="all", help=CASES_HELP)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=7,
    show_default=True,
    help="Rounds after the warm-up.",
)
@json_option
@quick_option
def main(
    device: str,
    dtype: str,
    cases: tuple[tuple[Comparison, Case], ...],
    rounds: int,
    json_path: Path | None,
    quick: bool,
) -> None:
    """Measure the alternatives among which the package decides by itself.

    These are the named algorithms, for algorithm="auto"; the backward pass at stride 1; and the
    layout of contiguous inputs on CPUs. All candidates of a case are measured in turn, round after
    round. A ratio is the median over the rounds of a candidate's time over the plain
    convolution's in the same round.
    """
    rounds = 1 if quick else rounds
    environment = describe_environment(torch.device(device))
    header = {
        "benchmark": "choice",
        "quick": quick,
        "dtype": dtype,
        "rounds": rounds,
        "environment": environment,
    }
    console = make_console()
    for line in _notes(header):
        console.print(line, markup=False, soft_wrap=True)
    described = []
    for comparison in COMPARISONS:
        chosen = [case for other, case in cases if other is comparison]
        if not chosen:
            continue
        results = []
        for number, case in enumerate(chosen, 1):
            click.echo(f"{comparison.name} {number}/{len(chosen)}: {case}", err=True)
            case = replace(case, batch=QUICK_BATCH) if quick else case
            results.append(
                _measure(comparison, case, rounds, torch.device(device), DTYPES[dtype], quick)
            )
        console.print()
        print_plain(console, _report(comparison, results))
        described.append(_describe(comparison, results))
    if json_path:
        write_results(json_path, header | {"comparisons": described})


def _measure(
    comparison: Comparison,
    case: Case,
    rounds: int,
    device: torch.device,
    dtype: torch.dtype,
    one_call: bool,
) -> Result:
    candidates = comparison.candidates(case)
    workloads = make_workloads(candidates, case, case.memory_format, device, dtype)
    times, calls = measure_times(candidates, workloads, rounds, device, one_call)
    peaks = measure_peaks(workloads, device)
    measurement = Measurement(case, case.memory_format, times, calls, peaks)
    decisions = {}
    for mode in MODES:
        operations = {name: record(workload, mode) for name, workload in workloads.items()}
        decisions[mode] = decision(comparison, measurement, mode, operations)
    del workloads
    gc.collect()
    return Result(measurement, decisions)


def _report(comparison: Comparison, results: list[Result]) -> Group:
    measurements = [result.measurement for result in results]
    title = f"{comparison.title}: times and memory over plain's"
    return Group(
        results_table(measurements, title, PLAIN, with_means=False),
        _decisions_table(comparison, results),
    )


def _decisions_table(comparison: Comparison, results: list[Result]) -> Table:
    table = make_table(f"{comparison.name}: what {comparison.decided!r} does, and what is fastest")
    table.add_column("input -> out channels /stride", no_wrap=True)
    for mode in MODES:
        for column in (f"{mode}:\ndone", "\nfastest"):
            table.add_column(column)
        table.add_column("done /\nfastest", justify="right")
    if comparison.quotient:
        over = " /\n".join(comparison.quotient)
        for figure in (f"time,\n{STEP}", "peak\nmemory", "memory\nabove start"):
            table.add_column(f"{over}:\n{figure}", justify="right")
    for result in results:
        row = [str(result.measurement.shape)]
        for mode in MODES:
            made = result.decisions[mode]
            done = " = ".join(made.chosen) or "a way of its own"
            row += [done, made.fastest, f"{made.slower:.2f}"]
        if comparison.quotient:
            row += [f"{figure:.2f}" for figure in _quotients(comparison, result.measurement)]
        table.add_row(*row)
    return table


def _quotients(comparison: Comparison, measurement: Measurement) -> Iterator[float]:
    """Time of a step, peak memory, and the part of it above the start."""
    if comparison.quotient:
        yield measurement.time_ratio(STEP, *comparison.quotient)
        yield measurement.memory_ratio(*comparison.quotient)
        yield measurement.memory_ratio_above_start(*comparison.quotient)


def _describe(comparison: Comparison, results: list[Result]) -> dict[str, Any]:
    """The comparison as it stands in a file."""
    cases = []
    for result in results:
        measurement = result.measurement
        entry: dict[str, Any] = {"case": str(measurement.shape)}
        entry |= describe_measurement(measurement)
        entry["decisions"] = {mode: asdict(made) for mode, made in result.decisions.items()}
        if comparison.quotient:
            time, memory, above_start = _quotients(comparison, measurement)
            entry["quotient"] = {
                "of": list(comparison.quotient),
                "time": time,
                "memory": memory,
                "memory_above_start": above_start,
            }
        cases.append(entry)
    return {"comparison": comparison.name, "decided": comparison.decided, "cases": cases}


def _notes(header: dict[str, Any]) -> Iterator[str]:
    """What a reader of the tables must know."""
    yield format_environment(header["environment"], header["dtype"])
    if header["quick"]:
        yield "A quick run: one sample each on two samples a batch. Its figures say nothing."
    yield f"rounds after a warm-up: {header['rounds']}, all candidates in turn"
    yield (
        "forward: as at inference. forward+backward: gradients of the weights and, with more than "
        "3 channels, of the input"
    )
    yield "what was done is told from the operations that torch was asked for"
    if header["environment"]["device"] != "cpu":
        yield "the layout comparison means something on CPUs only"


if __name__ == "__main__":
    main()
