"""One trial: run its objective, and end it whatever comes of that."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import optuna
from optuna.exceptions import UpdateFinishedTrialError

from storage import (
    DATABASE_ERRORS,
    HardenedStorage,
    Outcome,
    StorageError,
    attach_artifact,
    end_trial,
)
from sweeps.errors import Interrupted, OutOfMemory


@dataclass(frozen=True)
class Desk:
    """What a worker works with: the same for all its trials.

    Attributes:
        worker_id: the worker's, in the storage.
        worker_name: what it is called in tables and notes.
        should_stop: asked again and again while a trial runs.
    """

    study: optuna.Study
    storage: HardenedStorage
    worker_id: str
    worker_name: str
    should_stop: Callable[[], bool]


class Objective(Protocol):
    """What a trial does."""

    def __call__(self, desk: Desk, trial: optuna.Trial) -> tuple[Outcome, str | None, float | None]:
        """Run a trial, and report its epochs.

        Returns:
            How it ends, why, and its value if it is complete.

        Raises:
            Interrupted: the desk's ``should_stop`` said so.
            OutOfMemory: there was too little.
            UpdateFinishedTrialError: another process ended the trial.
            Exception: anything else is the trial's failure.
        """


def run_trial(desk: Desk, objective: Objective, trial: optuna.Trial) -> Outcome:
    """Run a trial to its end, whatever that is, and tell the study.

    Returns:
        How it ended. A failed one has its traceback as an artifact; a lost one was taken by
        another process, which ended it: this one was silent for so long that it was given up.
    """
    try:
        outcome, reason, value = objective(desk, trial)
    except Interrupted:
        return _end(desk, trial, "interrupted", reason="the sweep was stopped")
    except UpdateFinishedTrialError:
        return "lost"
    except OutOfMemory as error:
        if error.overrides:
            return _end(desk, trial, "out_of_memory", str(error), overrides=error.overrides)
        return _end(desk, trial, "failed", str(error))
    except (StorageError, *DATABASE_ERRORS):
        # Not the trial's fault: it is given up with its worker, and run again from its checkpoint.
        raise
    except Exception as error:
        first_line = next(iter(str(error).splitlines()), "")
        _keep_traceback(desk, trial)
        return _end(desk, trial, "failed", reason=f"{type(error).__name__}: {first_line}")
    return _end(desk, trial, outcome, reason=reason, value=value)


def _end(
    desk: Desk,
    trial: optuna.Trial,
    outcome: Outcome,
    reason: str | None = None,
    value: float | None = None,
    overrides: dict[str, object] | None = None,
) -> Outcome:
    mine = end_trial(
        desk.storage,
        desk.study,
        trial.number,
        outcome,
        value=value,
        reason=reason,
        overrides=overrides,
    )
    return outcome if mine else "lost"


def _keep_traceback(desk: Desk, trial: optuna.Trial) -> None:
    # A path in it may hold bytes that are no text.
    content = traceback.format_exc().encode(errors="backslashreplace")
    try:
        attach_artifact(desk.storage, trial, "traceback.txt", content, "text/plain")
    except UpdateFinishedTrialError:
        # Another process ended the trial; what went wrong in it no longer matters.
        return
