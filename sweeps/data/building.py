"""Build a dataset once and whole: a lock, a temporary folder, a rename; with progress on stderr."""

import errno
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import click
from filelock import FileLock, Timeout

from sweeps.errors import SweepsError

T = TypeVar("T")

_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}
_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def building(name: str, data_dir: Path) -> Iterator[Path]:
    """Yield an empty folder to build the dataset `name` in, to one process at a time.

    The folder is to be given to `put_in_place`, and is removed if it is not. What a build that was
    killed has left is removed first; the system has dropped its lock.

    Raises:
        SweepsError: the data folder cannot be made or written, or its disk is full.
    """
    folder, target = data_dir / f".{name}.tmp", data_dir / name
    with _disk_errors(data_dir):
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = FileLock(data_dir / f".{name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            click.echo(f"waiting for another process that is building {name}", err=True)
            lock.acquire()
        try:
            replaced = _replaced(folder)
            if replaced.exists() and not target.exists():
                # A process was killed between the two renames of `put_in_place`.
                replaced.rename(target)
            for stale in (folder, replaced):
                shutil.rmtree(stale, ignore_errors=True)
            folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            lock.release()


def put_in_place(built: Path, target: Path) -> None:
    """Rename a finished folder to `target`, replacing one that is there.

    Processes that have the old arrays mapped keep them.
    """
    target.parent.mkdir(exist_ok=True)
    if target.exists():
        target.rename(_replaced(built))
    built.rename(target)
    shutil.rmtree(_replaced(built), ignore_errors=True)


def _replaced(folder: Path) -> Path:
    """The place of what a finished folder replaces, until it is removed."""
    return folder.with_suffix(".old")


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


def track(items: Iterable[T], description: str, total: int) -> Iterable[T]:
    """Iterate with a progress bar on stderr, or after a plain line where that is no terminal.

    Args:
        items: what to iterate over.
        description: what is being done, ``decoding cifar10``.
        total: the number of items.
    """
    if not sys.stderr.isatty():
        click.echo(description, err=True)
        return items
    from rich.console import Console
    from rich.progress import track as rich_track

    console = Console(stderr=True)
    return rich_track(items, description, total=total, console=console, transient=True)
