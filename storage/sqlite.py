"""SQLite for several processes: pragmas, write transactions, and a look before the first open."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import sqlalchemy

from storage.errors import StorageError

BUSY_TIMEOUT_SECONDS = 60.0

_immediate: ContextVar[bool] = ContextVar("immediate", default=False)


@contextmanager
def write_lock() -> Iterator[None]:
    """Begin the transactions of this block with ``BEGIN IMMEDIATE``.

    SQLite ignores ``FOR UPDATE``: a transaction that reads and then writes on the strength of what
    it read has to take the write lock before it reads. Other transactions stay deferred, since
    taking the lock everywhere makes readers queue. Other databases are not affected.
    """
    token = _immediate.set(True)
    try:
        yield
    finally:
        _immediate.reset(token)


def set_pragmas(connection: sqlite3.Connection, _record: Any) -> None:
    """Prepare a new connection for several processes at once (a pool's ``connect`` event).

    Write-ahead logging lets readers go on while one process writes; with it ``synchronous=NORMAL``
    keeps every commit through a crash of the process.
    """
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_SECONDS * 1000)}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def begin(connection: sqlalchemy.Connection) -> None:
    """Take the write lock at once inside :func:`write_lock` (an engine's ``begin`` event)."""
    if _immediate.get():
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def check_file(path: Path, *, must_exist: bool) -> None:
    """Refuse a file that Optuna should not create its tables in, before it is touched.

    Raises:
        StorageError: the file or its folder is missing or read-only, or the file is not a SQLite
            database, or is one of another program.
    """
    folder = path.absolute().parent
    if not path.exists():
        if must_exist:
            raise StorageError(
                f"{path}: no such storage; `sweeps run` makes one, --storage names another"
            )
        if not folder.is_dir():
            raise StorageError(f"{path}: the folder {folder} does not exist; create it first")
        if not os.access(folder, os.W_OK):
            raise StorageError(f"{path}: the folder {folder} is read-only; choose another")
        return
    if path.is_dir():
        raise StorageError(f"{path}: is a folder, not a SQLite file")
    if not os.access(path, os.R_OK | os.W_OK):
        raise StorageError(f"{path}: is read-only; change its permissions or use another --storage")
    # Read through SQLite alone: closing the file any other way drops the locks that this process's
    # other connections hold on it, and another process then damages what they write
    # (https://www.sqlite.org/howtocorrupt.html, 2.2).
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
        try:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = {name for (name,) in rows}
        finally:
            connection.close()
    except sqlite3.Error as error:
        if "not a database" in str(error):
            raise StorageError(
                f"{path}: is not a SQLite database; name another with --storage"
            ) from None
        raise StorageError(f"{path}: cannot be read as a SQLite database: {error}") from None
    # The first tables that Optuna makes; a set-up that was interrupted may have no others.
    if tables and not {"studies", "version_info"} & tables:
        raise StorageError(
            f"{path}: is the database of another program (it holds {', '.join(sorted(tables)[:3])})"
            "; name another with --storage"
        )
