"""Writing files so that they are whole or not there."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from sweeps.errors import SweepsError


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file beside its place, then rename it into it.

    Args:
        path: the file; one that exists is replaced.
        write: called with the open file.

    Raises:
        SweepsError: it cannot be written; what was there before is still there.
    """
    if path.exists() and not path.is_file():
        raise SweepsError(f"{path}: is not a regular file; name another, or write to stdout")
    try:
        with tempfile.NamedTemporaryFile(
            dir=path.absolute().parent, prefix=f".{path.name}.", delete=False
        ) as file:
            try:
                write(file)
                file.flush()
                os.fsync(file.fileno())
                os.chmod(file.name, 0o666 & ~_umask())
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        raise SweepsError(f"{path}: cannot be written: {error.strerror or error}") from None


def write_text(path: Path, text: str) -> None:
    """:func:`write_whole` for a text, as UTF-8."""
    write_whole(path, lambda file: file.write(text.encode()))


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
