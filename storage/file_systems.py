"""Telling whether a file lies on a file system of another machine."""

import re
from pathlib import Path

from storage.errors import StorageError

#: Where the processes of several machines may meet without seeing each other's memory and locks.
_NETWORK = re.compile(
    r"nfs\d*|cifs|smb\w*|9p|afs|ceph|lustre|gpfs|beegfs\w*|glusterfs|ocfs2|gfs2|pvfs2|orangefs"
    r"|fuse\.(sshfs|glusterfs|ceph\S*|s3fs|gcsfuse|rclone|juicefs|cvmfs\S*|beegfs\S*|smb\S*)"
)


def refuse_network_file_system(path: Path, mounts: str | None = None) -> None:
    """Refuse a SQLite file on a network file system.

    Write-ahead logging needs memory that all processes share, so it works within one machine
    alone, and locks over a network are often none (https://www.sqlite.org/wal.html).

    Args:
        path: the file; it need not exist.
        mounts: what is mounted, in the format of ``/proc/self/mountinfo``; ``None`` reads that.

    Raises:
        StorageError: it lies on one.
    """
    kind = file_system(path, mounts)
    if kind is not None and _NETWORK.fullmatch(kind):
        raise StorageError(
            f"{path}: lies on a network file system ({kind}), on which SQLite loses data; name a "
            "file on a local disk, or a PostgreSQL database, with --storage"
        )


def file_system(path: Path, mounts: str | None = None) -> str | None:
    """The type of the file system that a path lies on; ``None`` where that is not known."""
    if mounts is None:
        try:
            mounts = Path("/proc/self/mountinfo").read_text(errors="replace")
        except OSError:
            return None
    place = path.absolute().resolve()
    found: tuple[int, str] | None = None
    for line in mounts.splitlines():
        # 36 35 98:0 /root /mount/point options [fields] - type source options
        before, _, after = line.partition(" - ")
        if len(before.split()) < 5 or not after:
            continue
        mount_point = Path(_unescape(before.split()[4]))
        # Of several at the same place the last covers the others.
        if place.is_relative_to(mount_point) and (
            found is None or len(mount_point.parts) >= found[0]
        ):
            found = len(mount_point.parts), after.split()[0]
    return found[1] if found else None


def _unescape(text: str) -> str:
    """Blanks in a mount point are written as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
