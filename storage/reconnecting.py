"""Calls that wait for a database that is away: restarted, cut off, or locked for too long."""

import functools
import math
import random
import time
from collections.abc import Callable, Iterator
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import PendingRollbackError

from storage.disconnects import passes
from storage.errors import DATABASE_ERRORS, StorageError, explain
from storage.transactions import current_connection

#: How long a call waits for its database.
PATIENCE_SECONDS = 300.0

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
_STEP_SECONDS = 0.1


class Reconnecting(Protocol):
    """A storage whose calls are patient.

    Attributes:
        patience: how long its calls wait; may be shortened while they do, as when its process is
            asked to stop.
        last_disconnect: when the database was away last, by ``time.monotonic()``; ``None`` where it
            never was.
        haste: how long a call may take in all, its tries included; ``None`` for as long as they
            take.
    """

    location: str
    engine: Engine
    patience: float
    haste: float | None
    last_disconnect: float | None


S = TypeVar("S", bound=Reconnecting)
P = ParamSpec("P")
R = TypeVar("R")


def patient(function: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Call a function, whose first argument is the storage, again when the database was away.

    The function has to bear being called again although it has done its work: a connection may
    break between a commit and the answer to it. One that is called inside a transaction is not
    called again by itself, since the transaction is lost as a whole: who began it is.

    Raises:
        StorageError: the database was away for longer than the storage's patience.
    """

    @functools.wraps(function)
    def call(storage: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return patiently(storage, lambda again: function(storage, *args, **kwargs))

    return call


def patiently(storage: Reconnecting, call: Callable[[bool], R]) -> R:
    """Make a call, again and again while the database is away.

    Args:
        storage: the storage that is called.
        call: what is done; it is told whether it was tried before, and may have done its work.

    Raises:
        StorageError: the database was away for longer than the storage's patience.
    """
    if current_connection(storage.engine) is not None:
        return call(False)
    called = time.monotonic()
    began: float | None = None
    for pause in pauses():
        try:
            return call(began is not None)
        except (*DATABASE_ERRORS, PendingRollbackError) as error:
            if not passes(error):
                raise
            now = time.monotonic()
            storage.last_disconnect = now
            began = now if began is None else began
            if not _wait(storage, called, began, pause):
                if storage.haste is not None:
                    # Who is in a hurry has waited once; the calls after it try once.
                    storage.patience = 0.0
                raise _gave_up(storage, error, time.monotonic() - called) from error
    raise AssertionError("unreachable")


def pauses() -> Iterator[float]:
    """How many seconds to wait between tries: longer each time, without end."""
    pause = _FIRST_PAUSE_SECONDS
    while True:
        # Of many that lost the same server not all are to come back in the same moment.
        yield pause * random.uniform(0.5, 1)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _wait(storage: Reconnecting, called: float, began: float, pause: float) -> bool:
    """Wait before the next call; false where the storage's patience is at its end."""
    until = time.monotonic() + pause
    while (now := time.monotonic()) < until:
        in_time = storage.haste is None or now - called < storage.haste
        if now - began >= storage.patience or not in_time:
            return False
        time.sleep(_STEP_SECONDS)
    return True


def _gave_up(storage: Reconnecting, error: Exception, seconds: float) -> StorageError:
    told = explain(error, storage.location) or error
    return StorageError(f"{told}{waited_for(seconds)}")


def waited_for(seconds: float) -> str:
    """How an error ends that was waited with; empty where nothing was waited for."""
    return f"; waited {math.ceil(seconds)} s for it" if seconds >= 0.5 else ""
