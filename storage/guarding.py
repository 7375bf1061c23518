"""Writes to trials: only while they run, and only by whoever holds their claim."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from storage.claims import lock_trial
from storage.patience import PatientStorage
from storage.reconnecting import patient
from storage.transactions import transaction

C = TypeVar("C", bound=type[PatientStorage])


def _guarded_methods(*names: str) -> Callable[[C], C]:
    def wrap(kind: C) -> C:
        for name in names:
            setattr(kind, name, patient(_guarded(getattr(kind, name))))
        return kind

    return wrap


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(storage: PatientStorage, trial_id: int, *args: Any, **kwargs: Any) -> Any:
        with transaction(storage.engine) as connection:
            lock_trial(connection, trial_id)
            return method(storage, trial_id, *args, **kwargs)

    return call


@_guarded_methods(
    "set_trial_param",
    "_set_trial_param",
    "set_trial_intermediate_value",
    "set_trial_user_attr",
    "set_trial_system_attr",
)
class GuardingStorage(PatientStorage):
    """A storage that changes running trials only, however slow the change is.

    Optuna looks whether a trial still runs, and writes then. A process that is suspended in between
    would write to a trial that has been retried meanwhile, or to one of another study. Here the
    trial is locked first, and a thread that holds a claim writes to that claim's trial alone.
    """
