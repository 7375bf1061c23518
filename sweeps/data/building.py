"""Building a cache once and whole: a lock per dataset, a temporary folder, a rename."""

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from sweeps.data.progress import note
from sweeps.errors import SweepsError

_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}
_FULL = {errno.ENOSPC, errno.EDQUOT}


def lock_path(name: str, data_dir: Path) -> Path:
    """The file whose lock is held while `name` is built."""
    return data_dir / f".{name}.lock"


@contextmanager
def build_lock(name: str, data_dir: Path, progress: bool) -> Iterator[None]:
    """Holds the lock for building `name`, so that one process builds and the others wait.

    The system drops the lock of a process that dies. What dead builds left is removed here: under
    the lock no temporary folder of this dataset has a living owner.

    Raises:
        SweepsError: the data folder cannot be made or written.
    """
    with disk_errors(data_dir):
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = FileLock(lock_path(name, data_dir))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            note(f"waiting for another process that is building {name}", progress)
            lock.acquire()
    try:
        with disk_errors(data_dir):
            _remove_stale(name, data_dir)
            yield
    finally:
        lock.release()


@contextmanager
def temporary_folder(name: str, data_dir: Path) -> Iterator[Path]:
    """Yields a new empty folder beside `name`'s; removed on the way out unless renamed."""
    folder = data_dir / f".{name}-{secrets.token_hex(4)}.tmp"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def put_in_place(built: Path, target: Path) -> None:
    """Renames a finished folder to `target`, replacing one that is there.

    Processes that have the old arrays mapped keep them.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        built.rename(target)
        return
    old = built.with_name(built.name.replace(".tmp", ".old.tmp"))
    target.rename(old)
    try:
        built.rename(target)
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def disk_errors(data_dir: Path) -> Iterator[None]:
    """Turns the accidents of writing under `data_dir` into one clear line."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise SweepsError(f"the disk that holds {data_dir} is full") from error
        if error.errno in _NOT_WRITABLE:
            raise SweepsError(f"the data folder {data_dir} is not writable") from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST) and not data_dir.is_dir():
            raise SweepsError(f"the data folder {data_dir} is not a folder") from error
        raise SweepsError(f"cannot write the data folder {data_dir}: {error}") from error


def _remove_stale(name: str, data_dir: Path) -> None:
    pattern = re.compile(rf"\.{re.escape(name)}-[0-9a-f]{{8}}(\.old)?\.tmp")
    with suppress(FileNotFoundError), os.scandir(data_dir) as entries:
        stale = [entry.path for entry in entries if pattern.fullmatch(entry.name)]
        for path in stale:
            if path.endswith(".old.tmp") and not (data_dir / name).exists():
                # A replacement died between its two renames: what it replaced is still whole.
                Path(path).rename(data_dir / name)
            shutil.rmtree(path, ignore_errors=True)
