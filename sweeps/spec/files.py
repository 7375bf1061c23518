"""Reading files with their mistakes told, and writing them so that they are whole or not there."""

import os
import tempfile
from pathlib import Path

from sweeps.errors import SweepsError


def read_text(path: Path, *, if_missing: str = "") -> str:
    """A file's text.

    Args:
        path: the file.
        if_missing: the remedy to tell where it does not exist.

    Raises:
        SweepsError: it cannot be read, or is no UTF-8.
    """
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        remedy = f"; {if_missing}" if if_missing else ""
        raise SweepsError(f"{path}: no such file{remedy}") from None
    except OSError as error:
        raise SweepsError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SweepsError(f"{path}: cannot be read: it is no text") from None


def check_writable(path: Path) -> None:
    """See whether :func:`write_whole` could write a file, before the work that makes it.

    Raises:
        SweepsError: it could not.
    """
    folder = path.absolute().parent
    if path.exists() and not path.is_file():
        raise SweepsError(f"{path}: is not a regular file; name another")
    if not folder.is_dir():
        raise SweepsError(f"{path}: the folder {folder} does not exist; create it first")
    if not os.access(folder, os.W_OK):
        raise SweepsError(f"{path}: the folder {folder} is read-only; choose another")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place, then rename it into it.

    Args:
        path: the file; one that exists is replaced.
        content: all of it.

    Raises:
        SweepsError: it cannot be written; what was there before is still there.
    """
    check_writable(path)
    try:
        handle, beside = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(beside, 0o666 & ~_umask())
            os.replace(beside, path)
        except BaseException:
            os.unlink(beside)
            raise
    except OSError as error:
        raise SweepsError(f"{path}: cannot be written: {error.strerror or error}") from None


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
