"""What the trials of these tests do: no training, but everything else that training does.

A trial's values follow from its parameters alone, epoch by epoch from the one before, so that an
epoch that was skipped, reported twice or resumed from elsewhere shows in all that follow.
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

from storage import CONFIGURATION, OVERRIDES, RETRY_OF
from sweeps.errors import Interrupted, OutOfMemory
from sweeps.worker import TrialContext
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
    """Whether it is a retry."""
    return RETRY_OF in trial.user_attrs


def suggest(trial: optuna.Trial) -> dict[str, Any]:
    """The parameters of a trial."""
    return {
        "x": trial.suggest_float("x", 0, 1),
        "y": trial.suggest_int("y", 1, 100),
        "z": trial.suggest_categorical("z", ["a", "b"]),
    }


class FakeObjective:
    """A :class:`sweeps.worker.Objective` that takes a fraction of a second.

    Args:
        journal: where it writes what happens.
        epoch_seconds: how long an epoch takes.
        sleeper: the configuration whose first worker suspends itself after its first epoch.
    """

    def __init__(self, journal: Journal, epoch_seconds: float, sleeper: str = "") -> None:
        self._sleeper = sleeper
        self._journal = journal
        self._epoch_seconds = epoch_seconds

    def __call__(self, context: TrialContext) -> float:
        self._journal.write("trial", trial=context.trial.number)
        try:
            return self._run(context)
        except UpdateFinishedTrialError:
            self._journal.write("taken", trial=context.trial.number)
            raise

    def _run(self, context: TrialContext) -> float:
        trial, params = context.trial, context.config
        context.describe(epochs=EPOCHS, attributes={"params": params})
        if has_accident(params):
            raise Accident("as asked for")
        if is_hopelessly_large(params):
            raise OutOfMemory("none left", {})

        before = time.time()
        values = _read(context)
        replayed = len(values)
        self._journal.write("resume", trial=trial.number, epochs=replayed, read=before)
        for epoch in range(1, EPOCHS + 1):
            if epoch > len(values):
                self._train(context, values)
                if epoch == 2 and is_too_large(params) and not _is_smaller(trial):
                    raise OutOfMemory("none left", {SMALLER: True})
                values.append(_next_value(params, values))
            hopeless = self._report(context, epoch, values[epoch - 1], replayed=epoch <= replayed)
            if context.checkpoint.is_due() and epoch < EPOCHS:
                self._keep(context, values)
            if trial.user_attrs.get(CONFIGURATION) == self._sleeper and not is_retry(trial):
                self._journal.write("sleep", trial=trial.number)
                os.kill(os.getpid(), signal.SIGSTOP)
            if hopeless:
                raise optuna.TrialPruned
        return values[-1]

    def _train(self, context: TrialContext, values: list[float]) -> None:
        for _ in range(_STEPS):
            if context.should_stop():
                self._keep(context, values)
                raise Interrupted
            time.sleep(self._epoch_seconds / _STEPS)

    def _keep(self, context: TrialContext, values: list[float]) -> None:
        context.checkpoint.write(json.dumps({"params": context.config, "values": values}).encode())
        self._journal.write("kept", trial=context.trial.number, epochs=len(values))

    def _report(self, context: TrialContext, epoch: int, value: float, *, replayed: bool) -> bool:
        """Report an epoch, and return whether the trial is to be pruned."""
        try:
            context.report(
                epoch,
                replayed=replayed,
                attributes={"reported": epoch},
                train_loss=value,
                val_loss=1 - value,
                val_accuracy=value,
                learning_rate=1 / epoch,
                seconds=self._epoch_seconds,
                images_per_second=1.0,
            )
            hopeless = False
        except optuna.TrialPruned:
            hopeless = True
        self._journal.write("epoch", trial=context.trial.number, epoch=epoch)
        return hopeless


def _next_value(params: Mapping[str, Any], values: list[float]) -> float:
    text = json.dumps([params["x"], params["y"], params["z"], values])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48


def _is_smaller(trial: optuna.Trial) -> bool:
    return bool(trial.user_attrs.get(OVERRIDES, {}).get(SMALLER))


def _read(context: TrialContext) -> list[float]:
    content = context.checkpoint.read()
    if content is None:
        return []
    kept = json.loads(content)
    assert kept["params"] == context.config, "a checkpoint of another trial"
    values: list[float] = kept["values"]
    return values
