"""A worker that does nothing but report epochs, and times it: ``python -m benchmarks.reporting``.

It is a process of its own, without torch; its parent writes what it shall do to its standard input,
and reads from its standard output, both as JSON lines.
"""

import json
import os
import random
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

import optuna
from sqlalchemy import event

from storage import (
    EpochRecord,
    HardenedStorage,
    ask,
    claim_trial,
    end_trial,
    end_worker,
    holding,
    open_storage,
    open_study,
    register_worker,
    report_epoch,
    study_uid,
)

#: As sweeps.study.samplers makes them; that of the presets first.
PRUNERS = {
    "asha": lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
    "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
}
EPOCHS = 1000
WARM_UP_EPOCHS = 2


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

    def to_line(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Epoch:
    """What one epoch's storage took.

    Attributes:
        report: seconds of ``report_epoch``.
        prune: seconds of ``should_prune``.
        cpu: seconds of this process's CPU time in both.
        writes: transactions that changed something.
    """

    report: float
    prune: float
    cpu: float
    writes: int


class _Writes:
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


def main() -> None:
    task = Task(**json.loads(sys.stdin.readline()))
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = open_storage(task.url)
    if storage.engine.dialect.name == "sqlite":
        event.listen(storage.engine, "connect", lambda c, _: _set_synchronous(c, task.synchronous))
        storage.engine.dispose()
    study = open_study(storage)
    study.pruner = PRUNERS[task.pruner]()
    worker = register_worker(storage, study._study_id, f"worker-{os.getpid()}", "none")
    claim = claim_trial(storage, study._study_id, study_uid(storage, study), worker.worker_id)
    assert claim is not None
    trial = ask(storage, study, claim)
    with holding(claim):
        report_epochs(task, storage, worker.worker_id, trial)
        end_trial(storage, study, trial.number, "completed", value=1.0)
    end_worker(storage, worker.worker_id)


def report_epochs(
    task: Task, storage: HardenedStorage, worker_id: str, trial: optuna.Trial
) -> None:
    """Report a trial's epochs as one that trains would, and write what each cost."""
    trial.suggest_float("x", 0, 1)
    writes = _Writes(storage)

    def tell(number: int) -> Epoch:
        before, cpu, began = writes.count, time.process_time(), time.perf_counter()
        record = EpochRecord(number, 0.5, 0.5, 0.5, 0.1, task.epoch_seconds, 100.0)
        report_epoch(
            storage,
            trial,
            record,
            0.5 + number / (2 * EPOCHS),
            epochs=EPOCHS,
            worker_id=worker_id,
            attributes={"images_per_second": 100 + number},
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
        tell(number + 1)
    print("ready", flush=True)
    sys.stdin.readline()
    # Workers do not come in step.
    due = time.monotonic() + random.uniform(0, task.epoch_seconds)
    epochs = []
    for number in range(task.epochs):
        time.sleep(max(due - time.monotonic(), 0))
        epochs.append(tell(WARM_UP_EPOCHS + number + 1))
        due = max(due + task.epoch_seconds, time.monotonic())
    print(json.dumps([asdict(epoch) for epoch in epochs]), flush=True)
    # The ends of all these trials in the same second are no part of what others measure.
    sys.stdin.readline()


def _set_synchronous(connection: Any, value: str) -> None:
    connection.execute(f"PRAGMA synchronous = {value}")


if __name__ == "__main__":
    main()
