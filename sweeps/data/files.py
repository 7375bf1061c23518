"""The files of a directory, a tar or a zip, one after the other, without extracting them."""

import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sweeps.errors import SweepsError

_MAX_BYTES = 256 * 2**20
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
_UNSUPPORTED = {b"\x28\xb5\x2f\xfd": "zstd", b"7z\xbc\xaf": "7z", b"Rar!": "rar"}


@dataclass(frozen=True)
class Entry:
    """A file or folder.

    Attributes:
        parts: its path below the root, split at the slashes.
        is_folder: whether it is a folder.
        read: gives a file's contents; to be called before the next entry is asked for.
    """

    parts: tuple[str, ...]
    is_folder: bool
    read: Callable[[], bytes]


def iterate_files(path: Path) -> Iterator[Entry]:
    """Yields every file and folder under a directory or inside an archive, in its own order.

    Hidden ones (`.DS_Store`, `__MACOSX`) are left out. A tar may be compressed (gzip, bzip2, xz).

    Raises:
        SweepsError: `path` does not exist, cannot be read, is no archive, is truncated or damaged,
            or has a member that would escape the folder it is unpacked to.
    """
    try:
        if path.is_dir():
            entries = _iterate_directory(path)
        else:
            with path.open("rb") as file:
                start = file.read(8)
            for magic, kind in _UNSUPPORTED.items():
                if start.startswith(magic):
                    raise SweepsError(
                        f"{path} is a {kind} archive; unpack it and import the folder"
                    )
            # A stored tar may end in a zip's bytes, so that a zip is told by how it starts.
            entries = _iterate_zip(path) if start.startswith(b"PK") else _iterate_tar(path, start)
    except FileNotFoundError as error:
        raise SweepsError(f"{path} does not exist") from error
    except OSError as error:
        raise SweepsError(f"cannot read {path}: {error.strerror}") from error
    for entry in entries:
        if entry.parts and not any(p.startswith(".") or p == "__MACOSX" for p in entry.parts):
            yield entry


def _iterate_directory(root: Path) -> Iterator[Entry]:
    seen = set()
    with _reading(root):
        for folder, folders, files in os.walk(root, followlinks=True, onerror=_raise):
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            folders.sort()
            parts = Path(folder).relative_to(root).parts
            yield Entry(parts, True, bytes)
            for name in sorted(files):
                file = Path(folder, name)
                if file.is_file():
                    yield Entry((*parts, name), False, _file_reader(root, file))


def _file_reader(root: Path, file: Path) -> Callable[[], bytes]:
    def read() -> bytes:
        with _reading(root):
            _check_bytes(root, str(file), file.stat().st_size)
            return file.read_bytes()

    return read


def _iterate_tar(path: Path, start: bytes) -> Iterator[Entry]:
    compression = next((kind for m, kind in _COMPRESSED.items() if start.startswith(m)), None)
    try:
        archive = tarfile.open(path, "r:*")  # noqa: SIM115
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        if compression:
            raise SweepsError(
                f"{path} is a {compression} file that is damaged, truncated or holds no tar"
            ) from error
        raise SweepsError(f"{path} is no tar or zip archive and no folder") from error
    with archive, _reading(path):
        for member in archive:
            parts = _safe_parts(path, member.name)
            if not (member.isreg() or member.isdir()):
                kind = "link" if member.issym() or member.islnk() else "device"
                raise SweepsError(f"{path} is refused: its member {member.name!r} is a {kind}")
            yield Entry(parts, member.isdir(), _tar_reader(path, archive, member))
        _check_end_of_tar(path, archive)


def _tar_reader(
    path: Path, archive: tarfile.TarFile, member: tarfile.TarInfo
) -> Callable[[], bytes]:
    def read() -> bytes:
        _check_bytes(path, member.name, member.size)
        with _reading(path):
            file = archive.extractfile(member)
            return file.read() if file else b""

    return read


def _check_end_of_tar(path: Path, archive: tarfile.TarFile) -> None:
    # The tarfile module takes the end of the file between two members for the end of the archive.
    file = archive.fileobj
    if file is None:
        return
    file.seek(archive.offset)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise SweepsError(f"{path} is truncated or damaged: the end of the archive is missing")
    # To the end, for the checksum of the compression.
    while file.read(2**20):
        pass


def _iterate_zip(path: Path) -> Iterator[Entry]:
    with _reading(path), zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            # Windows programs write backslashes.
            parts = _safe_parts(path, member.filename.replace("\\", "/"))
            mode = member.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                kind = "link" if stat.S_ISLNK(mode) else "device"
                raise SweepsError(f"{path} is refused: its member {member.filename!r} is a {kind}")
            if member.flag_bits & 1:
                raise SweepsError(f"{path} is encrypted; unpack it and import the folder")
            yield Entry(parts, member.is_dir(), _zip_reader(path, archive, member))


def _zip_reader(
    path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo
) -> Callable[[], bytes]:
    def read() -> bytes:
        _check_bytes(path, member.filename, member.file_size)
        with _reading(path):
            return archive.read(member)

    return read


def _safe_parts(path: Path, name: str) -> tuple[str, ...]:
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    drive = bool(parts) and len(parts[0]) == 2 and parts[0][1] == ":"
    if name.startswith("/") or ".." in parts or drive:
        raise SweepsError(f"{path} is refused: its member {name!r} lies outside the archive")
    return parts


def _check_bytes(path: Path, name: str, size: int) -> None:
    if size > _MAX_BYTES:
        raise SweepsError(f"{path} is refused: {name!r} unpacks to {size // 2**20:,} MiB")


def _raise(error: OSError) -> None:
    raise error


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        NotImplementedError,
        EOFError,
        zlib.error,
        lzma.LZMAError,
    ) as error:
        reason = str(error) or "it ends too early"
        raise SweepsError(f"{path} is truncated or damaged: {reason}") from error
    except OSError as error:
        raise SweepsError(f"cannot read {path}: {error.strerror or error}") from error
