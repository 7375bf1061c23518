"""What the storage costs a trial, epoch by epoch, while other workers use it too.

``make bench-storage``, or ``python -m benchmarks.storage`` in the project's folder. Workers are
processes of their own, which import this module; it leaves torch to where it is needed.
"""

import multiprocessing
import os
import random
import statistics
import tempfile
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Barrier
from typing import Any

import click
import optuna
from rich.table import Table
from sqlalchemy import event

from benchmarks.commands import (
    describe_environment,
    json_option,
    make_console,
    make_table,
    print_tables,
    write_results,
)
from storage import (
    EpochRecord,
    HardenedStorage,
    ask,
    claim_trial,
    create_study,
    end_trial,
    end_worker,
    holding,
    open_storage,
    open_study,
    parse_url,
    register_worker,
    report_epoch,
    show_url,
    study_uid,
)

GOAL = 0.01

# As sweeps.study.samplers makes them; that of the presets first.
PRUNERS = {
    "asha": lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
    "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
}
# As training reports them.
METRICS = {
    **dict.fromkeys(("train_loss", "val_loss", "val_accuracy", "val_top5"), 0.5),
    **dict.fromkeys(("val_calibration_error", "step_ms", "peak_memory_mib"), 12.5),
    **dict.fromkeys(("learning_rate", "images_per_second"), 0.1),
}
EPOCHS = 1000
WARM_UP_EPOCHS = 2
FINISHED_EPOCHS = 20

_DISK = {
    "normal": (
        "synchronous=NORMAL, as sweeps has it: a commit is written and not waited for on the disk; "
        "a crash of the machine may undo the last ones, and damages nothing"
    ),
    "full": "synchronous=FULL: each commit waits for the disk (fsync)",
}


@dataclass(frozen=True)
class Task:
    """What a worker is to do.

    Attributes:
        url: of the storage, which has one study.
        epochs: how many are measured, after a warm-up.
        epoch_seconds: from the start of one report to that of the next.
        synchronous: SQLite's pragma: when it waits for the disk.
        pruner: one of ``PRUNERS``.
    """

    url: str
    epochs: int
    epoch_seconds: float
    synchronous: str
    pruner: str


@dataclass(frozen=True)
class Epoch:
    """What one epoch's storage took.

    Attributes:
        report: seconds of ``report_epoch``.
        prune: seconds of ``should_prune``.
        cpu: seconds of the worker's CPU time in both.
        writes: transactions that changed something.
    """

    report: float
    prune: float
    cpu: float
    writes: int


class _WriteCount:
    """Counts the transactions that change something, as the database sees them."""

    def __init__(self, storage: HardenedStorage) -> None:
        self.count = 0
        self._changed = False
        event.listen(storage.engine, "before_cursor_execute", self._look)
        event.listen(storage.engine, "commit", self._commit)
        event.listen(storage.engine, "rollback", self._rollback)

    def _look(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE")):
            self._changed = True

    def _commit(self, _connection: Any) -> None:
        self.count += self._changed
        self._changed = False

    def _rollback(self, _connection: Any) -> None:
        self._changed = False


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

    def describe(self) -> dict[str, Any]:
        """Return the result as it stands in a file."""
        figures = {"share": self.share, "write_transactions": self.writes}
        epochs = [asdict(epoch) for epoch in self.epochs]
        workers = {"workers": self.workers, "epoch_seconds": self.epoch_seconds}
        return workers | figures | {"epochs": epochs}


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
    environment = describe_environment()
    with tempfile.TemporaryDirectory(dir=folder) as place:
        url = url or f"sqlite:///{place}/sweeps.db"
        where = show_url(parse_url(url)).partition(":")[0]
        _fill(url, trials)
        console = make_console()
        notes = [
            f"{environment['cpu']}, {environment['cpus']} CPUs; {where}; {trials} finished trials "
            f"of {FINISHED_EPOCHS} epochs; pruner {pruner}; an epoch every {epoch_seconds:g} s, "
            f"{epochs} of each worker"
        ]
        if where == "sqlite":
            notes.append(_DISK[synchronous])
        for note in notes:
            console.print(note, markup=False, soft_wrap=True)
        task = Task(url, epochs, epoch_seconds, synchronous, pruner)
        results = [measure(task, count) for count in counts]
    print_tables(console, results_table(results))
    if json_path:
        header = {"benchmark": "storage", "notes": notes, "environment": environment}
        write_results(json_path, header | {"results": [result.describe() for result in results]})


def results_table(results: list[Result]) -> Table:
    """Make a line for each number of workers."""
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
            intermediate_values=dict.fromkeys(range(1, FINISHED_EPOCHS + 1), 0.1),
        )
        for number in range(trials)
    )
    storage.engine.dispose()


def measure(task: Task, count: int) -> Result:
    """Let so many workers report epochs at once, each in a process of its own."""
    click.echo(f"{count} workers", err=True)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, context, _share, (context.Barrier(count),)) as pool:
        workers = [pool.submit(_work, task) for _ in range(count)]
        try:
            epochs = [epoch for worker in as_completed(workers) for epoch in worker.result()]
        except BrokenProcessPool:
            raise click.ClickException("a worker has ended before it was done") from None
    return Result(count, task.epoch_seconds, epochs)


# In a worker's process, what all workers wait at.
_barrier: Barrier


def _share(barrier: Barrier) -> None:
    global _barrier
    _barrier = barrier


def _work(task: Task) -> list[Epoch]:
    """Work on a trial; a failure ends the process, and with it the others, which wait for it."""
    try:
        return _run_trial(task)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _run_trial(task: Task) -> list[Epoch]:
    """Claim a trial and do nothing but report its epochs, and time that."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = open_storage(task.url)
    if storage.engine.dialect.name == "sqlite":
        pragma = f"PRAGMA synchronous = {task.synchronous}"
        event.listen(storage.engine, "connect", lambda connection, _: connection.execute(pragma))
        storage.engine.dispose()
    study = open_study(storage)
    study.pruner = PRUNERS[task.pruner]()
    worker = register_worker(storage, study._study_id, f"worker-{os.getpid()}", "none")
    claim = claim_trial(storage, study._study_id, study_uid(storage, study), worker.worker_id)
    assert claim is not None
    trial = ask(storage, study, claim)
    with holding(claim):
        epochs = _report_epochs(task, storage, worker.worker_id, trial)
        end_trial(storage, study, trial.number, "completed", value=1.0)
    end_worker(storage, worker.worker_id)
    return epochs


def _report_epochs(
    task: Task, storage: HardenedStorage, worker_id: str, trial: optuna.Trial
) -> list[Epoch]:
    """Report a trial's epochs as one that trains would, and return what each cost."""
    trial.suggest_float("x", 0, 1)
    writes = _WriteCount(storage)

    def report(number: int) -> Epoch:
        before, cpu, began = writes.count, time.process_time(), time.perf_counter()
        metrics = {**METRICS, "seconds": task.epoch_seconds}
        record = EpochRecord(number, metrics)
        report_epoch(
            storage,
            trial,
            record,
            0.5 + number / (2 * EPOCHS),
            epochs=EPOCHS,
            worker_id=worker_id,
            attributes={"images_per_second": 100 + number, "metrics": metrics},
        )
        reported = time.perf_counter()
        trial.should_prune()
        ended = time.perf_counter()
        return Epoch(
            report=reported - began,
            prune=ended - reported,
            cpu=time.process_time() - cpu,
            writes=writes.count - before,
        )

    for number in range(WARM_UP_EPOCHS):
        report(number + 1)
    _barrier.wait()
    # Workers do not come in step.
    due = time.monotonic() + random.uniform(0, task.epoch_seconds)
    epochs = []
    for number in range(task.epochs):
        time.sleep(max(due - time.monotonic(), 0))
        epochs.append(report(WARM_UP_EPOCHS + number + 1))
        due = max(due + task.epoch_seconds, time.monotonic())
    # The ends of all these trials in the same second are no part of what others measure.
    _barrier.wait()
    return epochs


def _spread(seconds: list[float]) -> str:
    ordered = sorted(value * 1000 for value in seconds)
    high = ordered[min(int(len(ordered) * 0.95), len(ordered) - 1)]
    return f"{statistics.median(ordered):.1f} / {high:.1f} / {ordered[-1]:.1f}"


if __name__ == "__main__":
    main()
