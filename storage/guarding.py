"""That what has ended stays as it is."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, text

from storage.patience import PatientStorage
from storage.reconnecting import patient
from storage.transactions import transaction

C = TypeVar("C", bound=type[PatientStorage])


def lock_trial(connection: Connection, trial_id: int) -> None:
    """Let no other process change a trial until the transaction ends."""
    # SQLite lets only one process write in any case.
    if connection.dialect.name != "sqlite":
        query = text("SELECT trial_id FROM trials WHERE trial_id = :id FOR UPDATE")
        connection.execute(query, {"id": trial_id})


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
    would write to a trial that was taken from it meanwhile, and for which another stands in.
    """
