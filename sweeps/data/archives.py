"""The images of a directory, a tar or a zip, one after the other; nothing is unpacked to disk.

Unpacking CIFAR-10's 60,000 files takes several times as long as decoding them.
"""

import functools
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from sweeps.errors import SweepsError

_MAX_BYTES = 256 * 2**20

Parts = tuple[str, ...]
#: A path below the root, split at the slashes, and how to open the file; `None` for a folder.
#: A file is to be read before the next entry is asked for.
Entry = tuple[Parts, Callable[[], Any] | None]
#: What opening one file of a damaged archive raises.
OPEN_ERRORS = (OSError, RuntimeError, zipfile.BadZipFile)


def iterate_files(path: Path) -> Iterator[Entry]:
    """Yield every file and folder under a directory or inside an archive, in its own order.

    Hidden ones (`.DS_Store`, `__MACOSX`) are left out. A tar may be compressed (gzip, bzip2, xz).

    Raises:
        SweepsError: `path` cannot be read or is no archive; the archive is truncated, damaged or
            encrypted; or it is hostile: a member lies outside it, is a link or a device, or
            unpacks to more than 256 MiB.
    """
    with _reading_errors(path):
        for parts, open_file in _iterate(path):
            if parts and not any(p.startswith(".") or p == "__MACOSX" for p in parts):
                yield parts, open_file


def _iterate(path: Path) -> Iterator[Entry]:
    if path.is_dir():
        return _iterate_directory(path)
    with path.open("rb") as file:
        # A stored tar may end in a zip's bytes, so that only the start tells them apart.
        is_zip = file.read(2) == b"PK"
    return _iterate_zip(path) if is_zip else _iterate_tar(path)


def _iterate_directory(root: Path) -> Iterator[Entry]:
    seen = set()
    for folder, folders, files in os.walk(root, followlinks=True, onerror=_raise):
        real = os.path.realpath(folder)
        if real in seen:
            # A link in a circle, perhaps.
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        parts = Path(folder).relative_to(root).parts
        yield parts, None
        for file in (Path(folder, name) for name in sorted(files)):
            if file.is_file():
                yield (*parts, file.name), functools.partial(file.open, "rb")


def _iterate_tar(path: Path) -> Iterator[Entry]:
    try:
        archive = tarfile.open(path, "r:*")  # noqa: SIM115
    except tarfile.ReadError as error:
        raise SweepsError(
            f"{path} is damaged, or no tar or zip archive; unpack it and import the folder"
        ) from error
    with archive:
        for member in archive:
            kind = "link" if member.issym() or member.islnk() else "device"
            is_plain = member.isreg() or member.isdir()
            parts = _check_member(path, member.name, member.size, "" if is_plain else kind)
            yield parts, None if member.isdir() else functools.partial(archive.extractfile, member)
        # The tarfile module takes the end of the file between two members for the archive's end.
        file: IO[bytes] = archive.fileobj  # type: ignore[assignment]
        file.seek(archive.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("the end of the archive is missing")
        # To the end, for the checksum of the compression.
        while file.read(2**20):
            pass


def _iterate_zip(path: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            mode = stat.S_IFMT(member.external_attr >> 16)
            kind = "link" if mode == stat.S_IFLNK else "device"
            is_plain = mode in (0, stat.S_IFREG, stat.S_IFDIR)
            # Windows programs write backslashes.
            name = member.filename.replace("\\", "/")
            if member.flag_bits & 1:
                raise SweepsError(f"{path} is encrypted; unpack it and import the folder")
            parts = _check_member(path, name, member.file_size, "" if is_plain else kind)
            yield parts, None if member.is_dir() else functools.partial(archive.open, member)


def _check_member(path: Path, name: str, size: int, kind: str) -> Parts:
    """Refuse a hostile member; the parts of its name. `kind` is empty for a file or folder."""
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/") or ".." in parts or (parts and parts[0][1:] == ":"):
        raise SweepsError(f"{path} is refused: its member {name!r} lies outside the archive")
    if kind:
        raise SweepsError(f"{path} is refused: its member {name!r} is a {kind}")
    if size > _MAX_BYTES:
        raise SweepsError(f"{path} is refused: {name!r} unpacks to {size // 2**20:,} MiB")
    return parts


def _raise(error: OSError) -> None:
    raise error


@contextmanager
def _reading_errors(path: Path) -> Iterator[None]:
    damage = (tarfile.TarError, zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError)
    try:
        yield
    except FileNotFoundError as error:
        raise SweepsError(f"{path} does not exist") from error
    except (*damage, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        # gzip and bzip2 report damage by an OSError without a number.
        if isinstance(error, OSError) and error.strerror:
            raise SweepsError(f"cannot read {path}: {error.strerror}") from error
        reason = str(error) or "it ends too early"
        raise SweepsError(f"{path} is truncated or damaged: {reason}") from error
