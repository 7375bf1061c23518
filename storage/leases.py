"""Leases: what one process at a time may do, over several statements and libraries."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict

from sqlalchemy import delete, select, text

from storage.clock import now
from storage.errors import DATABASE_ERRORS, StorageError
from storage.processes import ProcessIdentity, this_process
from storage.rdb import HardenedStorage
from storage.reconnecting import patiently
from storage.schema import leases_table
from storage.transactions import transaction

_POLL_SECONDS = 0.05
_WAIT_SECONDS = 60.0
_FOREIGN_SECONDS = 30.0


@contextmanager
def lease(storage: HardenedStorage, name: str) -> Iterator[None]:
    """Hold a lease for the length of a block; others wait for it.

    A holder that died loses it: at once where it ran on this machine, else after half a minute.

    Raises:
        StorageError: it was not to be had within a minute.
    """
    deadline = time.monotonic() + _WAIT_SECONDS
    while not patiently(storage, lambda again: _take(storage, name, again)):
        if time.monotonic() > deadline:
            raise StorageError(
                f"{storage.location}: another process has been at {name} for {_WAIT_SECONDS:.0f} "
                "seconds; end it, or try again"
            )
        time.sleep(_POLL_SECONDS)
    try:
        yield
    except BaseException:
        # A stop does not wait for a database that is away: the end of this process gives it back.
        with suppress(*DATABASE_ERRORS):
            _give_back(storage, name)
        raise
    patiently(storage, lambda again: _give_back(storage, name))


def _take(storage: HardenedStorage, name: str, again: bool) -> bool:
    mine = leases_table.c.name == name
    with transaction(storage.engine) as connection:
        if storage.engine.dialect.name == "postgresql":
            # A row that does not exist yet cannot be locked; the table can.
            connection.execute(text("LOCK TABLE sweeps_leases IN SHARE ROW EXCLUSIVE MODE"))
        row = connection.execute(select(leases_table).where(mine)).one_or_none()
        if row is not None:
            holder = ProcessIdentity(row.host, row.pid, row.birth)
            # Taken by a call whose answer was lost with its connection.
            if again and holder == this_process():
                return True
            if holder.is_here() and holder.runs_here():
                return False
            if not holder.is_here() and now(connection) - row.taken < _FOREIGN_SECONDS:
                return False
            connection.execute(delete(leases_table).where(mine))
        values = asdict(this_process())
        connection.execute(leases_table.insert().values(name=name, taken=now(connection), **values))
    return True


def _give_back(storage: HardenedStorage, name: str) -> None:
    mine = leases_table.c.name == name
    for column, value in asdict(this_process()).items():
        mine &= leases_table.c[column] == value
    with transaction(storage.engine) as connection:
        connection.execute(delete(leases_table).where(mine))
