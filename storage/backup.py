"""Backups: a SQLite storage as it is at one moment, as one file, made while workers run."""

import os
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path

import sqlalchemy
from sqlalchemy import URL

from storage.errors import StorageError, explain
from storage.schema import workers_table
from storage.snapshots import read_only, snapshot
from storage.sqlite import check_folder
from storage.url import is_sqlite, show_url, sqlite_path

#: The files that SQLite keeps beside a database while it is open, or was when its program died.
_COMPANIONS = ("-wal", "-shm", "-journal")


def back_up(source: URL, file: Path, *, replace: bool = False) -> int:
    """Write a SQLite storage as it is now to a file, which is a storage itself.

    In the backup no worker is at work: a sweep that resumes with it retries what ran.

    Args:
        source: the storage; others may go on writing to it.
        file: where the backup goes; it is there as a whole, or not at all.
        replace: whether a file that is there is replaced.

    Returns:
        The size of the backup in bytes.

    Raises:
        StorageError: it cannot be made; what was there before is still there.
    """
    if not is_sqlite(source):
        raise StorageError(
            f"{show_url(source)}: is not a SQLite file; back it up with pg_dump, or copy its "
            f"studies with `sweeps storage copy URL {file}`"
        )
    with snapshot(source):
        pass
    _check_place(source, file, replace)
    folder = file.absolute().parent
    try:
        # Nothing of the folder is left, whatever happens in between.
        with tempfile.TemporaryDirectory(dir=folder, prefix=f".{file.name}.") as temporary:
            new = Path(temporary) / file.name
            _copy(source, new)
            _sync(new)
            # Another file may have come there meanwhile.
            _check_place(source, file, replace)
            os.replace(new, file)
        _sync(folder)
    except OSError as error:
        raise StorageError(f"{file}: cannot be written: {error.strerror or error}") from None
    except sqlite3.Error as error:
        about_source = any(word in str(error) for word in ("malformed", "locked", "not a database"))
        where = show_url(source) if about_source else str(file)
        cause = sqlalchemy.exc.OperationalError("VACUUM INTO", {}, error)
        raise explain(cause, where) or error from None
    return file.stat().st_size


def _copy(source: URL, new: Path) -> None:
    with closing(read_only(source)) as reader:
        reader.execute("VACUUM INTO ?", [str(new)])
    with closing(sqlite3.connect(new, isolation_level=None)) as writer:
        tables = {name for (name,) in writer.execute("SELECT name FROM sqlite_master")}
        if workers_table.name in tables:
            writer.execute(f"UPDATE {workers_table.name} SET ended = last_seen WHERE ended IS NULL")


def _check_place(source: URL, file: Path, replace: bool) -> None:
    check_folder(file)
    own = sqlite_path(source)
    if own.exists() and file.exists() and file.samefile(own):
        raise StorageError(f"{file}: is the storage itself; name another file")
    if file.is_dir():
        raise StorageError(f"{file}: is a folder, not a SQLite file; name another")
    if file.exists() and not file.is_file():
        raise StorageError(f"{file}: is not a regular file; name another")
    if file.exists() and not replace:
        raise StorageError(f"{file}: is there already; name another file, or replace it by --force")
    if file.exists():
        # A connection that only reads leaves companions behind; one that may write removes them
        # when it closes, where no other program has the database open.
        with suppress(sqlite3.Error), closing(sqlite3.connect(file)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    for ending in _COMPANIONS:
        other = file.with_name(file.name + ending)
        if other.exists():
            raise StorageError(
                f"{file}: {other.name} lies beside it, so a program has it open, or died with it; "
                "name another file"
            )


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
