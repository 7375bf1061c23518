"""Backups: a storage as it is at one moment, as one SQLite file, made while workers run."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import sqlalchemy
from sqlalchemy import URL, Connection

from storage.copying import copy_from, find_studies
from storage.errors import DATABASE_ERRORS, StorageError, explain
from storage.rdb import open_storage
from storage.schema import leases_table, workers_table
from storage.snapshots import read_only, snapshot, telling
from storage.url import is_sqlite, show_url, sqlite_path

_STEP_PAGES = 2000

#: The files that SQLite keeps beside a database while it is used, or was when its program died.
_BESIDE = ("-wal", "-shm", "-journal")


def back_up(source: URL, file: Path, *, replace: bool = False) -> int:
    """Write a storage as it is now to a SQLite file, which is a storage itself.

    In the backup no worker is at work: what ran is queued again when a sweep goes on with it.

    Args:
        source: the storage; others may go on writing to it.
        file: where the backup goes; it is there as a whole, or not at all.
        replace: whether a file that is there is replaced.

    Returns:
        The size of the backup in bytes.

    Raises:
        StorageError: it cannot be made; what was there before is still there.
    """
    _check_place(source, file, replace)
    with snapshot(source) as connection, _beside(file) as new:
        if is_sqlite(source):
            _refuse_small_disk(connection, source, file)
            _copy_pages(source, new)
        else:
            with telling(show_url(source)):
                studies = find_studies(connection, (), show_url(source))
            target = open_storage(URL.create("sqlite", database=str(new)), create=True)
            try:
                copy_from(connection, show_url(source), target, studies)
            finally:
                target.engine.dispose()
        _finish(new)
        # It may have come there meanwhile.
        _check_place(source, file, replace)
        os.replace(new, file)
        _sync(file.absolute().parent)
    return file.stat().st_size


def _check_place(source: URL, file: Path, replace: bool) -> None:
    folder = file.absolute().parent
    if not folder.is_dir():
        raise StorageError(f"{file}: the folder {folder} does not exist; create it first")
    if not os.access(folder, os.W_OK):
        raise StorageError(f"{file}: the folder {folder} is read-only; choose another")
    own = sqlite_path(source) if is_sqlite(source) else None
    if own is not None and own.exists() and file.exists() and file.samefile(own):
        raise StorageError(f"{file}: is the storage itself; name another file")
    if file.is_dir():
        raise StorageError(f"{file}: is a folder, not a SQLite file; name another")
    if file.exists() and not file.is_file():
        raise StorageError(f"{file}: is not a regular file; name another")
    if file.exists() and not replace:
        raise StorageError(f"{file}: is there already; name another file, or replace it by --force")
    if file.exists():
        _tidy(file)
    for name in _BESIDE:
        other = file.with_name(file.name + name)
        if other.exists():
            raise StorageError(
                f"{file}: {other.name} lies beside it, so a program has it open, or died with it; "
                "name another file"
            )


def _tidy(file: Path) -> None:
    """Let SQLite remove what lies beside a database that no program has open.

    Its last connection does so when it closes, unless it may only read.
    """
    with suppress(sqlite3.Error), closing(sqlite3.connect(file)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


@contextmanager
def _beside(file: Path) -> Iterator[Path]:
    """A new file in the same folder, of which nothing is left unless it was renamed."""
    try:
        handle, name = tempfile.mkstemp(dir=file.absolute().parent, prefix=f".{file.name}.")
        os.fchmod(handle, 0o666 & ~_umask())
        os.close(handle)
        try:
            yield Path(name)
        finally:
            for end in ("", *_BESIDE):
                with suppress(FileNotFoundError):
                    os.unlink(name + end)
    except OSError as error:
        raise StorageError(f"{file}: cannot be written: {error.strerror or error}") from None
    except (sqlite3.Error, StorageError, *DATABASE_ERRORS) as error:
        raise _of_file(error, name, file) from None


def _of_file(error: Exception, name: str, file: Path) -> Exception:
    """An error about the file that is written, told of the file that a person named."""
    if isinstance(error, sqlite3.Error):
        error = sqlalchemy.exc.OperationalError("backup", {}, error)
    if not isinstance(error, StorageError):
        return explain(error, str(file)) or error
    said = str(error).replace(f"sqlite:///{name}", str(file)).replace(name, str(file))
    return StorageError(said)


def _refuse_small_disk(connection: Connection, source: URL, file: Path) -> None:
    with telling(show_url(source)):
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        size = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
    free = shutil.disk_usage(file.absolute().parent).free
    if pages * size > free:
        raise StorageError(
            f"{file}: the disk has {free >> 20:,} MiB left, the backup needs "
            f"{(pages * size >> 20) + 1:,}; free some space, or name a file on another disk"
        )


def _copy_pages(source: URL, new: Path) -> None:
    reader, writer = read_only(source), sqlite3.connect(new, isolation_level=None)
    reader.isolation_level = None
    try:
        # Whatever others write meanwhile, this connection goes on reading what was there: without
        # a transaction of its own the copy would begin again with each of their commits.
        reader.execute("BEGIN")
        try:
            reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            cause = sqlalchemy.exc.OperationalError("backup", {}, error)
            raise explain(cause, show_url(source)) or error from None
        # The file is nobody's yet, and gone if this process dies.
        writer.execute("PRAGMA synchronous = OFF")
        writer.execute("PRAGMA journal_mode = OFF")
        reader.backup(writer, pages=_STEP_PAGES, sleep=0)
    finally:
        writer.close()
        reader.close()


def _finish(new: Path) -> None:
    """Make it one file, without processes of the source in it, look it through, and sync it."""
    connection = sqlite3.connect(new, isolation_level=None)
    try:
        # The write-ahead log would be a second file; nobody else has this one open.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = DELETE")
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if workers_table.name in tables:
            connection.execute(
                f"UPDATE {workers_table.name} SET ended = last_seen WHERE ended IS NULL"
            )
        if leases_table.name in tables:
            connection.execute(f"DELETE FROM {leases_table.name}")
        [said] = connection.execute("PRAGMA quick_check(1)").fetchone()
        if said != "ok":
            raise StorageError(
                f"{new}: the backup is damaged ({said}); see `sweeps storage check` of the storage"
            )
    finally:
        connection.close()
    _sync(new)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
