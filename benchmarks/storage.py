"""What the storage costs a trial, epoch by epoch, while other workers use it too.

``make bench-storage``, or ``python -m benchmarks.storage`` in the project's folder.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import optuna
import torch
from rich.table import Table

from benchmarks.environment import describe_environment
from benchmarks.options import json_option
from benchmarks.reporting import PRUNERS, Epoch, Task
from benchmarks.results import write_results
from benchmarks.tables import make_console, make_table, print_plain
from storage import create_study, open_storage, parse_url, show_url

GOAL = 0.01

_ROOT = Path(__file__).parents[1]
_TOLD_EPOCHS = 20

_DISK = {
    "normal": (
        "synchronous=NORMAL, as sweeps has it: a commit is written and not waited for on the disk; "
        "a crash of the machine may undo the last ones, and damages nothing"
    ),
    "full": "synchronous=FULL: each commit waits for the disk (fsync)",
}


@dataclass(frozen=True)
class Result:
    """What so many workers at once measured.

    Attributes:
        workers: how many there were.
        epoch_seconds: how long an epoch was.
        epochs: of all workers.
    """

    workers: int
    epoch_seconds: float
    epochs: list[Epoch]

    @property
    def totals(self) -> list[float]:
        """Seconds of each epoch's storage."""
        return [epoch.report + epoch.prune for epoch in self.epochs]

    @property
    def share(self) -> float:
        """The part of an epoch's time that is the storage's, on average."""
        return statistics.fmean(self.totals) / self.epoch_seconds

    @property
    def writes(self) -> list[int]:
        """How many write transactions epochs had."""
        return sorted({epoch.writes for epoch in self.epochs})


@click.command()
@click.option(
    "--storage",
    "url",
    metavar="URL",
    help="An empty PostgreSQL database to measure.  [default: a SQLite file in a folder for it]",
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Where the SQLite file is made.  [default: the system's for temporary files]",
)
@click.option(
    "--workers",
    "counts",
    type=click.IntRange(min=1),
    multiple=True,
    default=(1, 4, 16),
    show_default=True,
    help="How many at once; may be given several times.",
)
@click.option("--epochs", type=click.IntRange(min=1), default=30, show_default=True)
@click.option(
    "--epoch-seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="From one report of a worker to its next.",
)
@click.option(
    "--trials",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="Finished trials that the study has, which the pruner compares with.",
)
@click.option("--pruner", type=click.Choice(list(PRUNERS)), default="asha", show_default=True)
@click.option("--synchronous", type=click.Choice(list(_DISK)), default="normal", show_default=True)
@json_option
def main(
    url: str | None,
    folder: Path | None,
    counts: tuple[int, ...],
    epochs: int,
    epoch_seconds: float,
    trials: int,
    pruner: str,
    synchronous: str,
    json_path: Path | None,
) -> None:
    """Time report_epoch and should_prune in workers that report an epoch each second."""
    environment = describe_environment(torch.device("cpu"))
    with tempfile.TemporaryDirectory(dir=folder) as place:
        url = url or f"sqlite:///{place}/sweeps.db"
        where = show_url(parse_url(url)).partition(":")[0]
        _fill(url, trials)
        console = make_console()
        notes = [
            f"{environment['cpu']}, {environment['cpus']} CPUs; {where}; {trials} finished trials "
            f"of {_TOLD_EPOCHS} epochs; pruner {pruner}; an epoch every {epoch_seconds:g} s, "
            f"{epochs} of each worker"
        ]
        if where == "sqlite":
            notes.append(_DISK[synchronous])
        for note in notes:
            console.print(note, markup=False, soft_wrap=True)
        task = Task(url, epochs, epoch_seconds, synchronous, pruner)
        results = [_measure(task, count) for count in counts]
    console.print()
    print_plain(console, results_table(results))
    if json_path:
        header = {"benchmark": "storage", "notes": notes, "environment": environment}
        write_results(json_path, header | {"results": [_describe(result) for result in results]})


def results_table(results: list[Result]) -> Table:
    """A line for each number of workers."""
    table = make_table("milliseconds an epoch: median / 95th percentile / longest")
    table.add_column("workers", justify="right")
    for column in ("report_epoch", "should_prune", "both", "CPU time, median", "mean of an epoch"):
        table.add_column(column, justify="right")
    table.add_column("goal")
    table.add_column("write transactions", justify="right")
    for result in results:
        table.add_row(
            str(result.workers),
            _spread([epoch.report for epoch in result.epochs]),
            _spread([epoch.prune for epoch in result.epochs]),
            _spread(result.totals),
            f"{statistics.median(epoch.cpu for epoch in result.epochs) * 1000:.1f}",
            f"{result.share:.2%}",
            f"<= {GOAL:.0%} {'reached' if result.share <= GOAL else 'missed'}",
            " or ".join(map(str, result.writes)),
        )
    return table


def _fill(url: str, trials: int) -> None:
    """Make a study with finished trials."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = open_storage(url, create=True)
    study = create_study(storage, "storage benchmark", "maximize", lambda study: None)
    study.add_trials(
        optuna.trial.create_trial(
            params={"x": number / trials},
            distributions={"x": optuna.distributions.FloatDistribution(0, 1)},
            value=0.1,
            intermediate_values=dict.fromkeys(range(1, _TOLD_EPOCHS + 1), 0.1),
        )
        for number in range(trials)
    )
    storage.engine.dispose()


def _measure(task: Task, count: int) -> Result:
    click.echo(f"{count} workers", err=True)
    command = [sys.executable, "-m", "benchmarks.reporting"]
    processes = [
        subprocess.Popen(
            command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(count)
    ]
    try:
        for process in processes:
            _tell(process, task.to_line())
        for process in processes:
            _read(process)
        for process in processes:
            _tell(process, "go")
        told = [json.loads(_read(process)) for process in processes]
        for process in processes:
            _tell(process, "end")
        for process in processes:
            process.wait()
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    epochs = [Epoch(**epoch) for worker in told for epoch in worker]
    return Result(count, task.epoch_seconds, epochs)


def _tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def _read(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise click.ClickException("a worker has ended before it was done")
    return line


def _spread(seconds: list[float]) -> str:
    ordered = sorted(value * 1000 for value in seconds)
    high = ordered[min(int(len(ordered) * 0.95), len(ordered) - 1)]
    return f"{statistics.median(ordered):.1f} / {high:.1f} / {ordered[-1]:.1f}"


def _describe(result: Result) -> dict[str, Any]:
    return {
        "workers": result.workers,
        "epoch_seconds": result.epoch_seconds,
        "share": result.share,
        "write_transactions": result.writes,
        "epochs": [asdict(epoch) for epoch in result.epochs],
    }


if __name__ == "__main__":
    main()
