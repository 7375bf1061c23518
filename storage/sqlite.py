"""SQLite for several processes: pragmas, write transactions, and a look before the first open."""

import os
import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy.engine import URL

from storage.errors import StorageError, explain
from storage.file_systems import refuse_network_file_system
from storage.url import sqlite_path

#: How long one try waits for the file; calls are patient, and try again.
BUSY_TIMEOUT_SECONDS = 10.0


def engine_settings(_url: URL) -> dict[str, Any]:
    """What SQLAlchemy needs to know to open a file for several processes."""
    return {
        "connect_args": {"timeout": BUSY_TIMEOUT_SECONDS},
        "pool_events": [(set_pragmas, "connect")],
    }


def set_pragmas(connection: sqlite3.Connection, _record: Any) -> None:
    """Prepare a new connection for several processes at once (a pool's ``connect`` event).

    Write-ahead logging lets readers go on while one process writes; with it ``synchronous=NORMAL``
    keeps every commit through a crash of the process.
    """
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def begin(connection: sqlalchemy.Connection) -> None:
    """Take the write lock at once where a transaction asks for it (an engine's ``begin`` event).

    SQLite ignores ``FOR UPDATE``: a transaction that reads and then writes on the strength of what
    it read has to take the write lock before it reads. Other transactions stay deferred, since
    taking the lock everywhere makes readers queue.
    """
    if connection.get_execution_options().get("begin_immediate"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def hurry_connecting(parameters: dict[str, Any], seconds: float) -> None:
    """Let a new connection wait no longer than so for those of others."""
    parameters["timeout"] = seconds


def hurry(connection: sqlalchemy.Connection, seconds: float) -> None:
    """Let a transaction that begins wait no longer than so for those of others."""
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(seconds * 1000)}")


def check(url: URL, *, must_exist: bool, writable: bool = True) -> None:
    """See whether a URL's file can be opened, or made.

    Args:
        url: where it is.
        must_exist: refuse one that does not exist.
        writable: refuse one that is read-only.

    Raises:
        StorageError: it cannot, or Optuna should not create its tables in it.
    """
    path = sqlite_path(url)
    refuse_network_file_system(path)
    check_file(path, must_exist=must_exist, writable=writable)


def check_file(path: Path, *, must_exist: bool, writable: bool = True) -> None:
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
    if not os.access(path, os.R_OK):
        raise StorageError(f"{path}: may not be read; change its permissions")
    if writable and not os.access(path, os.W_OK):
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
        if not os.access(folder, os.W_OK):
            raise StorageError(
                f"{path}: the folder {folder} is read-only, where SQLite keeps a log beside the "
                "file; change its permissions, or copy the file to another folder"
            ) from None
        cause = sqlalchemy.exc.OperationalError("open", {}, error)
        raise explain(cause, str(path)) or cause from None
    # The first tables that Optuna makes; a set-up that was interrupted may have no others.
    if tables and not {"studies", "version_info"} & tables:
        raise StorageError(
            f"{path}: is the database of another program (it holds {', '.join(sorted(tables)[:3])})"
            "; name another with --storage"
        )
