"""Class-folder trees of a person's own, made into datasets."""

from dataclasses import dataclass
from pathlib import Path

from sweeps.data.building import build_lock, put_in_place, temporary_folder
from sweeps.data.cache import CacheWriter
from sweeps.data.class_tree import read_class_tree
from sweeps.data.dataset import DatasetInfo
from sweeps.data.files import iterate_files
from sweeps.data.listing import dataset_info
from sweeps.data.meta import Meta, read_meta
from sweeps.data.names import PATTERNS, check_name
from sweeps.data.pictures import BadPicture, decode
from sweeps.data.progress import note, progress_bar
from sweeps.errors import SweepsError

_NAMED = 5


@dataclass(frozen=True)
class ImportResult:
    """What an import did.

    Attributes:
        info: the dataset as it now is on disk.
        already_there: the same pictures were there already and nothing was changed.
        replaced: another dataset of that name was replaced.
        notes: what a person should hear about how the tree was read.
    """

    info: DatasetInfo
    already_there: bool
    replaced: bool
    notes: tuple[str, ...]


def import_dataset(
    name: str,
    path: Path,
    data_dir: Path,
    *,
    size: int | None = None,
    replace: bool = False,
    progress: bool = True,
) -> ImportResult:
    """Makes the dataset `name` of a class-folder tree, a directory or a tar or zip archive.

    Splits are folders `train` and `test` (or `val`, `valid`, `validation`), at the top or inside
    one common folder; without them a sixth of every class becomes the test split. An archive is
    read as it stands, nothing is extracted to disk.

    Args:
        name: by which `open_dataset` finds it afterwards.
        path: the directory or archive.
        data_dir: the data folder; made when missing.
        size: scale the shorter side of every picture to so many pixels and crop the centre; needed
            unless all pictures are square and equally large.
        replace: replace another dataset of that name.
        progress: show progress on stderr.

    Raises:
        SweepsError: in one line what is wrong with the name, the archive, the tree, a picture, the
            data folder, or that another dataset has the name.
    """
    check_name(name)
    if name == PATTERNS:
        raise SweepsError(
            f"{PATTERNS!r} is built in and cannot be imported over; take another name"
        )
    if size is not None and size < 1:
        raise SweepsError(f"the size must be positive, not {size}")
    path, target = Path(path), Path(data_dir) / name
    if not path.exists():
        raise SweepsError(f"{path} does not exist")
    with build_lock(name, Path(data_dir), progress):
        _check_target(target)
        with temporary_folder(name, data_dir) as folder:
            meta, notes = build_from_tree(
                folder, name, path, size=size, source="import", progress=progress
            )
            existing = read_meta(target) if target.exists() else None
            already_there = existing is not None and existing.fingerprint == meta.fingerprint
            if existing is not None and not already_there and not replace:
                raise SweepsError(
                    f"there is another dataset {name!r} in {data_dir} ({existing.fingerprint}, the "
                    f"new one is {meta.fingerprint}); replace it (--replace) or take another name"
                )
            if not already_there:
                put_in_place(folder, target)
        info = dataset_info(name, data_dir)
    return ImportResult(info, already_there, existing is not None and not already_there, notes)


def build_from_tree(
    folder: Path, name: str, path: Path, *, size: int | None, source: str, progress: bool
) -> tuple[Meta, tuple[str, ...]]:
    """Fills the empty cache folder `folder` from the tree at `path`; returns meta and notes.

    Raises:
        SweepsError: as `import_dataset`.
    """
    note(f"reading {path}", progress)
    tree = read_class_tree(path, iterate_files(path))
    bad: list[str] = []
    bad_count = seen = 0
    writer: CacheWriter | None = None
    first = ""
    try:
        with progress_bar(f"decoding {name}", len(tree.rows), progress) as advance:
            for entry in iterate_files(path):
                if entry.is_folder or entry.parts not in tree.rows:
                    continue
                split, row = tree.rows[entry.parts]
                member = "/".join(entry.parts)
                seen += 1
                advance()
                try:
                    image = decode(entry.read(), size)
                except BadPicture as error:
                    bad_count += 1
                    if len(bad) < _NAMED:
                        bad.append(f"{member} ({error})")
                    continue
                height, width = image.shape[:2]
                if writer is None:
                    if height != width:
                        raise SweepsError(
                            f"{path}: the pictures are not square ({member} is {width}x{height}); "
                            "scale and crop them with --size PIXELS"
                        )
                    first = f"{member} is {width}x{height}"
                    writer = CacheWriter(
                        folder,
                        name=name,
                        source=source,
                        classes=tree.classes,
                        size=height,
                        labels=tree.labels,
                    )
                elif (height, width) != (writer.size, writer.size):
                    raise SweepsError(
                        f"{path}: the pictures differ in size ({first}, {member} is "
                        f"{width}x{height}); scale and crop them with --size PIXELS"
                    )
                if not bad:
                    writer.write(split, row, image)
        if bad or writer is None:
            more = f" and {bad_count - len(bad)} more" if bad_count > len(bad) else ""
            count = "1 picture" if bad_count == 1 else f"{bad_count} pictures"
            raise SweepsError(f"{path}: cannot read {count}: {'; '.join(bad)}{more}")
        if seen != len(tree.rows):
            raise SweepsError(f"{path} changed while it was read")
        return writer.finish(), tree.notes
    finally:
        if writer is not None:
            writer.close()


def _check_target(target: Path) -> None:
    if target.exists() and read_meta(target) is None:
        raise SweepsError(
            f"{target} is in the way: it is no dataset that this program built; move it elsewhere"
        )
