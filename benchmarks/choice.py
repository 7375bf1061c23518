"""The measurements behind what the package decides by itself.

``make bench-choice``, or ``python -m benchmarks.choice`` in the project's folder.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Group
from rich.table import Table
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from benchmarks.commands import (
    QUICK_BATCH,
    Indices,
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
from benchmarks.comparisons import COMPARISONS, Case, Comparison
from benchmarks.measurement import (
    MEMORY,
    MEMORY_ABOVE_START,
    MODES,
    PLAIN,
    STEP,
    Measurement,
    Workload,
    make_workloads,
    measure,
)
from benchmarks.tables import describe_measurement, results_table

CASES = tuple((comparison, case) for comparison in COMPARISONS for case in comparison.cases)
CASES_HELP = "Cases to measure, by index: " + "; ".join(
    f"{index}: {case}" for index, (_, case) in enumerate(CASES)
)

# Every operation's name and arguments, tensors by their size, strides and dtype.
Operations = list[tuple[str, Any]]


@dataclass(frozen=True)
class Decision:
    """What was decided in one mode.

    Attributes:
        fastest: the fastest alternative.
        chosen: the alternatives that do just what the package decided to do: several where they
            come to the same, none where the package has a way of its own.
        slower: the chosen alternative's time over the fastest one's, at least 1 where one was
            chosen; else what the package decided over the fastest.
    """

    fastest: str
    chosen: tuple[str, ...]
    slower: float


# A case's measurement, and by mode what the package decided.
Result = tuple[Measurement, dict[str, Decision]]


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
    header = {
        "benchmark": "choice",
        "quick": quick,
        "dtype": dtype,
        "rounds": rounds,
        "environment": describe_environment(device),
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
            results.append(_measure(comparison, case, rounds, device, dtype, quick))
        print_tables(console, _report(comparison, results))
        described.append(_describe(comparison, results))
    if json_path:
        write_results(json_path, header | {"comparisons": described})


def _measure(
    comparison: Comparison, case: Case, rounds: int, device: str, dtype: str, one_call: bool
) -> Result:
    candidates = comparison.candidates(case)
    workloads = make_workloads(candidates, case, case.memory_format, device, dtype)
    measurement = measure(workloads, case, case.memory_format, rounds, one_call)
    decisions = {}
    for mode in MODES:
        operations = {name: record(workload, mode) for name, workload in workloads.items()}
        decisions[mode] = decision(comparison, measurement, mode, operations)
    return measurement, decisions


def decision(
    comparison: Comparison,
    measurement: Measurement,
    mode: str,
    operations: Mapping[str, Operations],
) -> Decision:
    """Tell which alternative the package chose in a mode.

    An alternative was chosen if torch was asked for the same operations, so nothing needs to be
    known of how the package chooses, and the time is that alternative's own: what else the
    candidate that decides by itself took is noise.

    Args:
        comparison: distinguishes the candidate for which the package decides from the others.
        measurement: times of all of them.
        mode: forward pass or step.
        operations: every candidate's operations in that mode.
    """
    alternatives = comparison.alternatives(measurement.peaks)
    ratios = {name: measurement.ratio(mode, name) for name in alternatives}
    fastest = min(ratios, key=lambda name: ratios[name])
    done = operations[comparison.decided]
    chosen = tuple(name for name in alternatives if operations[name] == done)
    if fastest in chosen:
        return Decision(fastest, chosen, 1.0)
    taken = ratios[chosen[0]] if chosen else measurement.ratio(mode, comparison.decided)
    return Decision(fastest, chosen, taken / ratios[fastest])


def record(workload: Workload, mode: str) -> Operations:
    """Return the operations of a forward pass or a step that is not the layer's first."""
    with workload.setting(), _Recorder() as recorder:
        workload.run(mode)
    workload.clear()
    return recorder.operations


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.operations: Operations = []

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        described = tree_map_only(Tensor, _describe_tensor, (args, kwargs))
        self.operations.append((str(func), described))
        return func(*args, **kwargs)


def _describe_tensor(tensor: Tensor) -> tuple[Any, ...]:
    return tuple(tensor.shape), tensor.stride(), tensor.dtype


def _report(comparison: Comparison, results: list[Result]) -> Group:
    measurements = [measurement for measurement, _ in results]
    title = f"{comparison.title}: times and memory over plain's"
    figures = results_table(measurements, title, PLAIN, with_means=False)
    return Group(figures, _decisions_table(comparison, results))


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
    for measurement, decisions in results:
        row = [str(measurement.shape)]
        for mode in MODES:
            made = decisions[mode]
            done = " = ".join(made.chosen) or "a way of its own"
            row += [done, made.fastest, f"{made.slower:.2f}"]
        row += [f"{figure:.2f}" for figure in _quotients(comparison, measurement).values()]
        table.add_row(*row)
    return table


def _quotients(comparison: Comparison, measurement: Measurement) -> dict[str, float]:
    """Return what the comparison's quotient is in time of a step and in memory, if it has one."""
    if not comparison.quotient:
        return {}
    return {
        "time": measurement.ratio(STEP, *comparison.quotient),
        MEMORY: measurement.ratio(MEMORY, *comparison.quotient),
        MEMORY_ABOVE_START: measurement.ratio(MEMORY_ABOVE_START, *comparison.quotient),
    }


def _describe(comparison: Comparison, results: list[Result]) -> dict[str, Any]:
    """Return the comparison as it stands in a file."""
    cases = []
    for measurement, decisions in results:
        entry = {"case": str(measurement.shape)} | describe_measurement(measurement)
        entry["decisions"] = {mode: asdict(made) for mode, made in decisions.items()}
        if comparison.quotient:
            of = {"of": list(comparison.quotient)}
            entry["quotient"] = of | _quotients(comparison, measurement)
        cases.append(entry)
    return {"comparison": comparison.name, "decided": comparison.decided, "cases": cases}


def _notes(header: dict[str, Any]) -> Iterator[str]:
    """Yield what a reader of the tables must know."""
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
