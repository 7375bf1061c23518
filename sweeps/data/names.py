"""Which dataset names exist, and which may."""

import difflib
import re
from pathlib import Path

from sweeps.errors import SweepsError

DOWNLOADABLE = ("cifar10", "imagenette", "stl10")
PATTERNS = "patterns"
BUILT_IN = (*DOWNLOADABLE, PATTERNS)

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


def check_name(name: str) -> None:
    """Refuses a name that cannot be a dataset's folder.

    Raises:
        SweepsError: `name` is not of the form `[a-z0-9][a-z0-9_-]*`.
    """
    if not _NAME.fullmatch(name):
        raise SweepsError(
            f"{name!r} cannot be a dataset's name: use a-z, 0-9, - and _, first a letter or digit"
        )


def names_on_disk(data_dir: Path) -> list[str]:
    """The datasets that have a folder with something built under `data_dir`, sorted."""
    try:
        folders = [entry for entry in data_dir.iterdir() if _NAME.fullmatch(entry.name)]
    except OSError:
        return []
    found = [f.name for f in folders if any(f.glob("meta.json")) or any(f.glob("at-*/meta.json"))]
    return sorted(found)


def unknown_dataset(name: str, data_dir: Path) -> SweepsError:
    """The error for a name that is neither built in nor on disk; names the nearest known one."""
    known = sorted({*BUILT_IN, *names_on_disk(data_dir)})
    near = difflib.get_close_matches(name.lower(), known, n=1)
    guess = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}."
    return SweepsError(
        f"unknown dataset {name!r}; {guess} A class-folder tree of your own is added with "
        "`sweeps data import NAME PATH`"
    )
