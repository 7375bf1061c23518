"""The training loop of these tests: no training, but everything else that training does.

A trial's values follow from its parameters alone, epoch by epoch from the one before, so that an
epoch that was skipped, reported twice or resumed from elsewhere shows in all that follow.
"""

import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from sqlalchemy import Engine, event

import sweeps.worker.loop
from storage import CONFIGURATION, OVERRIDES, RETRY_OF, budget, workers
from sweeps.errors import Interrupted, OutOfMemory
from sweeps.worker import TrialContext
from sweeps.worker.loop import heartbeat
from tests.chaos.journal import Journal
from tests.chaos.settings import EPOCHS, VARIABLE, ChaosSettings

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


def train(context: TrialContext) -> float:
    """Run a trial, in a fraction of a second."""
    trial, params, settings = context.trial, _params(context), ChaosSettings.from_environment()
    journal = Journal(settings.journal)
    journal.write("trial", trial=trial.number, torch="torch" in sys.modules)
    try:
        return _run(context, params, settings, journal)
    except UpdateFinishedTrialError:
        journal.write("taken", trial=trial.number)
        raise


def _run(
    context: TrialContext, params: dict[str, Any], settings: ChaosSettings, journal: Journal
) -> float:
    trial = context.trial
    if has_accident(params):
        raise Accident("as asked for")
    if is_hopelessly_large(params):
        raise OutOfMemory("none left", {})

    def keep() -> None:
        content = json.dumps({"params": params, "values": values}).encode()
        context.checkpoint.write(content)
        journal.write("kept", trial=trial.number, epochs=len(values))

    before = time.time()
    values = _read(context, params)
    replayed = len(values)
    journal.write("resume", trial=trial.number, epochs=replayed, read=before)
    for epoch in range(1, EPOCHS + 1):
        if epoch > len(values):
            for _ in range(_STEPS):
                if context.should_stop():
                    keep()
                    raise Interrupted
                time.sleep(settings.epoch_seconds / _STEPS)
            is_smaller = trial.user_attrs.get(OVERRIDES, {}).get("options.smaller")
            if epoch == 2 and is_too_large(params) and not is_smaller:
                raise OutOfMemory("none left", {"options.smaller": True})
            values.append(_next_value(params, values))
        hopeless = _report(context, epoch, values[epoch - 1], replayed=epoch <= replayed)
        journal.write("epoch", trial=trial.number, epoch=epoch)
        if context.checkpoint.is_due() and epoch < EPOCHS:
            keep()
        sleeps = trial.user_attrs.get(CONFIGURATION) == settings.sleeper
        if sleeps and RETRY_OF not in trial.user_attrs:
            journal.write("sleep", trial=trial.number)
            os.kill(os.getpid(), signal.SIGSTOP)
        if hopeless:
            raise optuna.TrialPruned
    return values[-1]


def _params(context: TrialContext) -> dict[str, Any]:
    return {name: context.options[name] for name in "xyz"}


def _report(context: TrialContext, epoch: int, value: float, *, replayed: bool) -> bool:
    """Report an epoch, and return whether the trial is to be pruned."""
    try:
        context.report(epoch, replayed=replayed, attributes={"reported": epoch}, score=value)
    except optuna.TrialPruned:
        return True
    return False


def _next_value(params: Mapping[str, Any], values: list[float]) -> float:
    text = json.dumps([params["x"], params["y"], params["z"], values])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48


def _read(context: TrialContext, params: dict[str, Any]) -> list[float]:
    content = context.checkpoint.read()
    if content is None:
        return []
    kept = json.loads(content)
    assert kept["params"] == params, "a checkpoint of another trial"
    values: list[float] = kept["values"]
    return values


def _hurry(settings: ChaosSettings) -> None:
    """Let this process judge others in seconds instead of minutes, and note what goes wrong."""
    grace, journal = settings.grace, Journal(settings.journal)
    workers.GRACE_SECONDS = budget.GRACE_SECONDS = grace
    sweeps.worker.loop.heartbeat = partial(heartbeat, seconds=grace / 5)
    sweeps.worker.loop._RECLAIM_SECONDS = grace / 2
    sweeps.worker.loop._IDLE_SECONDS = 0.2
    supervisor = sys.modules.get("sweeps.runner.supervisor")
    if supervisor is not None:
        supervisor._POLL_SECONDS = 0.1  # type: ignore[attr-defined]
        supervisor._RECLAIM_SECONDS = grace / 2  # type: ignore[attr-defined]
        supervisor._LINGER_SECONDS = 2 * grace  # type: ignore[attr-defined]
        supervisor._MAX_PAUSE_SECONDS = 0.2  # type: ignore[attr-defined]
        return

    def note_error(context: Any) -> None:
        # Not a signal that came in the middle.
        if context.sqlalchemy_exception is not None:
            journal.write("error", text=str(context.original_exception))

    event.listen(Engine, "handle_error", note_error)
    journal.write("start")


if VARIABLE in os.environ:
    _hurry(ChaosSettings.from_environment())
