"""SQLite for several processes: pragmas, write transactions, and checks before a file is opened."""

import os
import re
import sqlite3
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy
from sqlalchemy.engine import URL

from storage.errors import StorageError, explain
from storage.url import sqlite_path

#: How long one try of a call waits for the file.
BUSY_TIMEOUT_SECONDS = 10.0

# File systems on which the processes of several machines meet without sharing memory and locks.
_NETWORK = re.compile(
    r"nfs\d*|cifs|smb\w*|9p|afs|ceph|lustre|gpfs|beegfs\w*|glusterfs|ocfs2|gfs2|pvfs2|orangefs"
    r"|fuse\.(sshfs|glusterfs|ceph\S*|s3fs|gcsfuse|rclone|juicefs|cvmfs\S*|beegfs\S*|smb\S*)"
)


def engine_settings(_url: URL) -> dict[str, Any]:
    """What SQLAlchemy needs to know to open a file for several processes."""
    return {
        "connect_args": {"timeout": BUSY_TIMEOUT_SECONDS},
        "pool_events": [(set_pragmas, "connect")],
    }


def set_pragmas(connection: sqlite3.Connection, _record: Any) -> None:
    """Prepare a new connection for many processes (a pool's ``connect`` event).

    With write-ahead logging readers do not wait for a process that writes, and
    ``synchronous=NORMAL`` keeps every commit through a crash of the process.
    """
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def begin(connection: sqlalchemy.Connection) -> None:
    """Begin a transaction as its option ``sqlite_begin`` says (an engine's ``begin`` event).

    SQLite ignores ``FOR UPDATE``: a transaction that reads, and writes what follows from that, has
    to take the write lock before it reads (``IMMEDIATE``). One that only reads would queue for the
    lock; with ``DEFERRED`` it sees one moment.
    """
    kind = connection.get_execution_options().get("sqlite_begin")
    if kind is not None:
        connection.exec_driver_sql(f"BEGIN {kind}")


def hurry_connecting(parameters: dict[str, Any], seconds: float) -> None:
    """Limit how long a new connection waits for those of others."""
    parameters["timeout"] = seconds


def hurry(connection: sqlalchemy.Connection, seconds: float) -> None:
    """Limit how long a new transaction waits for those of others."""
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(seconds * 1000)}")


def check(url: URL, *, must_exist: bool, writable: bool = True) -> None:
    """Refuse a file that cannot be opened, or in which Optuna should not create its tables.

    The file is not changed.

    Args:
        url: where it is.
        must_exist: refuse one that does not exist.
        writable: refuse one that is read-only.

    Raises:
        StorageError: the file or its folder is missing or read-only, it lies on a network file
            system, is not a SQLite database, or is one of another program.
    """
    path = sqlite_path(url)
    _refuse_network_file_system(path)
    if not path.exists():
        if must_exist:
            raise StorageError(
                f"{path}: no such storage; `sweeps run` makes one, --storage names another"
            )
        check_folder(path)
        return
    if path.is_dir():
        raise StorageError(f"{path}: is a folder, not a SQLite file")
    if not os.access(path, os.R_OK):
        raise StorageError(f"{path}: may not be read; change its permissions")
    if writable and not os.access(path, os.W_OK):
        raise StorageError(f"{path}: is read-only; change its permissions or use another --storage")
    tables = _tables(path)
    # The first tables that Optuna makes; a set-up that was interrupted may have no others.
    if tables and not {"studies", "version_info"} & tables:
        raise StorageError(
            f"{path}: is the database of another program (it holds {', '.join(sorted(tables)[:3])})"
            "; name another with --storage"
        )


def check_folder(path: Path) -> None:
    """Refuse a new file whose folder is missing or read-only.

    Raises:
        StorageError: it is.
    """
    folder = path.absolute().parent
    if not folder.is_dir():
        raise StorageError(f"{path}: the folder {folder} does not exist; create it first")
    if not os.access(folder, os.W_OK):
        raise StorageError(f"{path}: the folder {folder} is read-only; choose another")


def _tables(path: Path) -> set[str]:
    # Read through SQLite alone: closing the file any other way drops the locks that this process's
    # other connections hold on it, and another process then damages what they write
    # (https://www.sqlite.org/howtocorrupt.html, 2.2).
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
        try:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            return {name for (name,) in rows}
        finally:
            connection.close()
    except sqlite3.Error as error:
        if "not a database" in str(error):
            raise StorageError(
                f"{path}: is not a SQLite database; name another with --storage"
            ) from None
        folder = path.absolute().parent
        if not os.access(folder, os.W_OK):
            raise StorageError(
                f"{path}: the folder {folder} is read-only, where SQLite keeps a log beside the "
                "file; change its permissions, or copy the file to another folder"
            ) from None
        cause = sqlalchemy.exc.OperationalError("open", {}, error)
        raise explain(cause, str(path)) or cause from None


def _refuse_network_file_system(path: Path) -> None:
    """Refuse a file on a network file system.

    Write-ahead logging needs memory that all processes share, so it works within one machine
    alone, and locks over a network are often none (https://www.sqlite.org/wal.html).

    Raises:
        StorageError: it lies on one.
    """
    kind = file_system(path)
    if _NETWORK.fullmatch(kind):
        raise StorageError(
            f"{path}: lies on a network file system ({kind}), on which SQLite loses data; name a "
            "file on a local disk, or a PostgreSQL database, with --storage"
        )


def file_system(path: Path) -> str:
    """The type of the file system that a path lies on; empty where that is not known."""
    place = path.absolute().resolve()
    try:
        mounts = psutil.disk_partitions(all=True)
    except OSError:
        return ""
    around = [mount for mount in mounts if place.is_relative_to(mount.mountpoint)]
    # The innermost; of several at the same place the last covers the others.
    around.sort(key=lambda mount: len(Path(mount.mountpoint).parts))
    return around[-1].fstype if around else ""
