"""What the trials of these tests do: no training, but everything else that training does.

A trial's values follow from its parameters alone, epoch by epoch from the one before, so that an
epoch that was skipped, told twice or gone on with from elsewhere shows in all that follow.
"""

import hashlib
import json
import os
import signal
import time
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError

from storage import (
    CONFIGURATION,
    OVERRIDES,
    RETRY_OF,
    EpochRecord,
    Outcome,
    batch,
    note_progress,
    report_epoch,
)
from sweeps.errors import Interrupted, OutOfMemory
from sweeps.study.attributes import WORKER
from sweeps.worker.checkpoints import Checkpoints, TrialCheckpoint
from sweeps.worker.trial import Desk
from tests.chaos.journal import Journal

EPOCHS = 6
SMALLER = "smaller"

_STEPS = 4


class Accident(Exception):
    """What a trial fails with whose parameters ask for it."""


def expected_values(params: Mapping[str, Any]) -> list[float]:
    """The values of a trial's epochs, if it is let alone."""
    values: list[float] = []
    for _ in range(EPOCHS):
        values.append(_next_value(params, values))
    return values


def is_too_large(params: Mapping[str, Any]) -> bool:
    """Whether a trial needs less memory than it first asks for."""
    return bool(params["y"] % 10 == 3)


def is_hopelessly_large(params: Mapping[str, Any]) -> bool:
    """Whether a trial fails for want of memory."""
    return bool(params["y"] % 25 == 7)


def has_accident(params: Mapping[str, Any]) -> bool:
    """Whether a trial fails."""
    return bool(params["y"] % 25 == 11)


def is_retry(trial: optuna.Trial) -> bool:
    """Whether it stands in for another."""
    return RETRY_OF in trial.user_attrs


class FakeObjective:
    """A :class:`sweeps.worker.trial.Objective` that takes a fraction of a second.

    Args:
        checkpoints: where trials under way are kept.
        journal: told what happens.
        epoch_seconds: how long an epoch takes.
        sleeper: the configuration whose first worker suspends itself after its first epoch.
    """

    def __init__(
        self, checkpoints: Checkpoints, journal: Journal, epoch_seconds: float, sleeper: str = ""
    ) -> None:
        self._sleeper = sleeper
        self._checkpoints = checkpoints
        self._journal = journal
        self._epoch_seconds = epoch_seconds

    def __call__(self, desk: Desk, trial: optuna.Trial) -> tuple[Outcome, str | None, float | None]:
        self._journal.write("trial", trial=trial.number)
        try:
            return self._run(desk, trial)
        except UpdateFinishedTrialError:
            self._journal.write("taken", trial=trial.number)
            raise

    def _run(self, desk: Desk, trial: optuna.Trial) -> tuple[Outcome, str | None, float | None]:
        trials = desk.study.get_trials(deepcopy=False)
        self._checkpoints.tidy(trials)
        checkpoint = self._checkpoints.of(trial.number, trials)
        params = {
            "x": trial.suggest_float("x", 0, 1),
            "y": trial.suggest_int("y", 1, 100),
            "z": trial.suggest_categorical("z", ["a", "b"]),
        }
        epochs = EPOCHS
        note_progress(desk.storage, desk.worker_id, trial_number=trial.number, epochs=epochs)

        def describe() -> None:
            trial.set_user_attr(WORKER, desk.worker_name)
            trial.set_user_attr("params", params)

        batch(desk.storage, desk.study._study_id, describe)
        if has_accident(params):
            raise Accident("as asked for")
        if is_hopelessly_large(params):
            raise OutOfMemory("none left", {})

        before = time.time()
        values = _read(checkpoint, params)
        told_again = len(values)
        self._journal.write("resume", trial=trial.number, epochs=told_again, read=before)
        for epoch in range(1, epochs + 1):
            if epoch > len(values):
                self._train(desk, trial, checkpoint, params, values)
                if epoch == 2 and is_too_large(params) and not _is_smaller(trial):
                    raise OutOfMemory("none left", {SMALLER: True})
                values.append(_next_value(params, values))
            self._report(desk, trial, epoch, values[epoch - 1])
            if checkpoint.is_due() and epoch < epochs:
                self._keep(trial, checkpoint, params, values)
            if trial.user_attrs.get(CONFIGURATION) == self._sleeper and not is_retry(trial):
                self._journal.write("sleep", trial=trial.number)
                os.kill(os.getpid(), signal.SIGSTOP)
            hopeless = trial.should_prune()
            heeded = CONFIGURATION not in trial.user_attrs and epoch > told_again
            if hopeless and heeded and epoch < epochs:
                return "pruned", None, None
        return "completed", None, values[-1]

    def _train(
        self,
        desk: Desk,
        trial: optuna.Trial,
        checkpoint: TrialCheckpoint,
        params: dict[str, Any],
        values: list[float],
    ) -> None:
        for _ in range(_STEPS):
            if desk.should_stop():
                self._keep(trial, checkpoint, params, values)
                raise Interrupted
            time.sleep(self._epoch_seconds / _STEPS)

    def _keep(
        self,
        trial: optuna.Trial,
        checkpoint: TrialCheckpoint,
        params: dict[str, Any],
        values: list[float],
    ) -> None:
        checkpoint.write(json.dumps({"params": params, "values": values}).encode())
        self._journal.write("kept", trial=trial.number, epochs=len(values))

    def _report(self, desk: Desk, trial: optuna.Trial, epoch: int, value: float) -> None:
        record = EpochRecord(
            epoch=epoch,
            train_loss=value,
            val_loss=1 - value,
            val_accuracy=value,
            learning_rate=1 / epoch,
            seconds=self._epoch_seconds,
            images_per_second=1.0,
        )
        report_epoch(
            desk.storage,
            trial,
            record,
            value,
            epochs=EPOCHS,
            worker_id=desk.worker_id,
            attributes={"told": epoch},
        )
        self._journal.write("epoch", trial=trial.number, epoch=epoch)


def _next_value(params: Mapping[str, Any], values: list[float]) -> float:
    text = json.dumps([params["x"], params["y"], params["z"], values])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48


def _is_smaller(trial: optuna.Trial) -> bool:
    return bool(trial.user_attrs.get(OVERRIDES, {}).get(SMALLER))


def _read(checkpoint: TrialCheckpoint, params: dict[str, Any]) -> list[float]:
    content = checkpoint.read()
    if content is None:
        return []
    kept = json.loads(content)
    assert kept["params"] == params, "a checkpoint of another trial"
    values: list[float] = kept["values"]
    return values
