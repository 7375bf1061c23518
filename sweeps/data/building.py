"""Build a dataset once and whole: a lock, a temporary folder, a rename; with progress on stderr."""

import errno
import re
import secrets
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import click
from filelock import FileLock, Timeout

from sweeps.errors import SweepsError

T = TypeVar("T")

_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}
_MAX_ATTEMPTS = 100
_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def building(name: str, data_dir: Path, progress: bool) -> Iterator[Path]:
    """Yield an empty folder to build the dataset `name` in, to one process at a time.

    The folder is to be given to `put_in_place`, and is removed if it is not. What builds that
    were killed have left is removed first: under the lock, no temporary folder of this dataset
    has a living owner.

    Raises:
        SweepsError: the data folder cannot be made or written, or its disk is full.
    """
    with _disk_errors(data_dir), _locked(name, data_dir, progress):
        _remove_stale(name, data_dir)
        folder = data_dir / f".{name}-{secrets.token_hex(4)}.tmp"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def put_in_place(built: Path, target: Path) -> None:
    """Rename a finished folder to `target`, replacing one that is there.

    Processes that have the old arrays mapped keep them.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    old = built.with_suffix(".old.tmp")
    if target.exists():
        target.rename(old)
    built.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def check_target(name: str, target: Path) -> None:
    """Refuse to build where something lies that is no cache.

    Raises:
        SweepsError: something does.
    """
    if target.exists():
        raise SweepsError(
            f"{target} is in the way: it is no dataset that this program built; move it elsewhere "
            f"(`sweeps data import {name} PATH` takes images from there)"
        )


@contextmanager
def _locked(name: str, data_dir: Path, progress: bool) -> Iterator[None]:
    """Hold the lock for building `name`; then remove its file, and folders made for it alone.

    The system drops the lock of a process that dies.
    """
    lock = FileLock(data_dir / f".{name}.lock")
    made = [folder for folder in (data_dir, *data_dir.parents) if not folder.exists()]
    timeout, attempts = 0.0, 0
    while not lock.is_locked:
        attempts += 1
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout)
        except Timeout:
            note(f"waiting for another process that is building {name}", progress)
            timeout = -1
        except (FileNotFoundError, FileExistsError):
            # A process whose build failed may remove the folder that it made at any moment.
            if attempts == _MAX_ATTEMPTS:
                raise
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
        with suppress(OSError):
            for folder in made:
                folder.rmdir()


def _remove_stale(name: str, data_dir: Path) -> None:
    pattern = re.compile(rf"\.{re.escape(name)}-[0-9a-f]{{8}}(\.old)?\.tmp")
    for path in list(data_dir.iterdir()):
        if pattern.fullmatch(path.name):
            if path.suffixes[-2:] == [".old", ".tmp"] and not (data_dir / name).exists():
                # A process was killed between the two renames of `put_in_place`.
                path.rename(data_dir / name)
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _disk_errors(data_dir: Path) -> Iterator[None]:
    """Turn the accidents of writing under `data_dir` into one clear line."""
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


def note(text: str, progress: bool) -> None:
    """Write one line to stderr, if `progress` is wanted."""
    if progress:
        click.echo(text, err=True)


def track(items: Iterable[T], description: str, total: int, progress: bool) -> Iterable[T]:
    """Iterate with a progress bar on stderr, or after a plain line where that is no terminal.

    Args:
        items: what to iterate over.
        description: what is being done, ``decoding cifar10``.
        total: the number of items.
        progress: False shows nothing.
    """
    if not (progress and sys.stderr.isatty()):
        note(description, progress)
        return items
    from rich.console import Console
    from rich.progress import track as rich_track

    console = Console(stderr=True)
    return rich_track(items, description, total=total, console=console, transient=True)
