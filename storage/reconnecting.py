"""Calls that wait for an unavailable database: restarted, cut off, or locked for too long."""

import functools
import math
import random
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from sqlalchemy.exc import PendingRollbackError

from storage.errors import DATABASE_ERRORS, StorageError, explain, is_transient
from storage.transactions import current_connection, transaction

if TYPE_CHECKING:
    from storage.storage import HardenedStorage

#: How long a call waits for its database.
PATIENCE_SECONDS = 300.0

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
_STEP_SECONDS = 0.1


P = ParamSpec("P")
R = TypeVar("R")


def patient(
    function: Callable[Concatenate["HardenedStorage", P], R],
) -> Callable[Concatenate["HardenedStorage", P], R]:
    """Retry a function, whose first argument is the storage, while the database is unavailable.

    The function has to bear being called again although it has done its work: a connection may
    break between a commit and the answer to it. Inside a transaction it is not retried, since the
    transaction is lost as a whole; whoever began the transaction retries all of it.

    Raises:
        StorageError: the database was unavailable for longer than the storage's patience.
    """

    @functools.wraps(function)
    def call(storage: "HardenedStorage", /, *args: P.args, **kwargs: P.kwargs) -> R:
        if current_connection(storage.engine) is not None:
            return function(storage, *args, **kwargs)
        called = time.monotonic()
        began: float | None = None
        for pause in pauses():
            try:
                return function(storage, *args, **kwargs)
            except (*DATABASE_ERRORS, PendingRollbackError) as error:
                if not is_transient(error):
                    raise
                now = time.monotonic()
                storage.last_disconnect = now
                began = now if began is None else began
                if not _wait(storage, called, began, pause):
                    if storage.haste is not None:
                        # In a hurry one call waits; those after it are tried once.
                        storage.patience = 0.0
                    waited = waited_for(time.monotonic() - called)
                    explained = explain(error, storage.location) or error
                    raise StorageError(f"{explained}{waited}") from error
        raise AssertionError("unreachable")

    return call


@patient
def batch(storage: "HardenedStorage", study_id: int, calls: Callable[[], None]) -> None:
    """Make calls that write to a study in one transaction.

    Args:
        storage: the storage that is written to.
        study_id: the study.
        calls: makes them; has to bear being called again.
    """
    # The study is locked before its trials, as everywhere.
    with transaction(storage.engine, study_id):
        calls()


def pauses() -> Iterator[float]:
    """How many seconds to wait between tries: longer each time, without end."""
    pause = _FIRST_PAUSE_SECONDS
    while True:
        # Processes that lost the same server must not all come back at the same moment.
        yield pause * random.uniform(0.5, 1)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def waited_for(seconds: float) -> str:
    """How the message of an error ends that was waited with; empty where nothing was waited for."""
    return f"; waited {math.ceil(seconds)} s for it" if seconds >= 0.5 else ""


def _wait(storage: "HardenedStorage", called: float, began: float, pause: float) -> bool:
    """Wait before the next try; false where the storage's patience is at its end."""
    until = time.monotonic() + pause
    while (now := time.monotonic()) < until:
        in_time = storage.haste is None or now - called < storage.haste
        # The patience may be shortened while a call waits.
        if now - began >= storage.patience or not in_time:
            return False
        time.sleep(_STEP_SECONDS)
    return True
