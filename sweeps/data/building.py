"""Building a cache once and whole: a lock per dataset, a temporary folder, a rename."""

import errno
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from sweeps.data.progress import note
from sweeps.errors import SweepsError

_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}
_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def build_lock(name: str, data_dir: Path, progress: bool) -> Iterator[None]:
    """Holds the lock for building `name`, so that one process builds and the others wait.

    The system drops the lock of a process that dies. What dead builds left is removed here: under
    the lock no temporary folder of this dataset has a living owner. The lock's file goes with it,
    and so do folders that were made for it and hold nothing.

    Raises:
        SweepsError: the data folder cannot be made or written.
    """
    path = data_dir / f".{name}.lock"
    with disk_errors(data_dir):
        lock, made = _take_lock(
            path, lambda: note(f"waiting for another process that is building {name}", progress)
        )
    with lock:
        try:
            with disk_errors(data_dir):
                _remove_stale(name, data_dir)
                yield
        finally:
            path.unlink(missing_ok=True)
            with suppress(OSError):
                for folder in made:
                    folder.rmdir()


def _take_lock(path: Path, tell: Callable[[], None]) -> tuple[BinaryIO, list[Path]]:
    """Opens a lock's file and locks it, until it is closed; the folders that were made for it too.

    Args:
        path: the file.
        tell: called before the first wait for another process.
    """
    told = False
    while True:
        made = [folder for folder in path.parents if not folder.exists()]
        # Who had the lock may remove its file, and the folder, until this process has it.
        with suppress(FileNotFoundError), ExitStack() as unless_taken:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except FileExistsError:
                if path.parent.exists():
                    raise
                continue
            file = unless_taken.enter_context(path.open("ab"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not told:
                    tell()
                    told = True
                fcntl.flock(file, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                unless_taken.pop_all()
                return file, made


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
