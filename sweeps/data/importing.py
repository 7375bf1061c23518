"""Import class-folder trees: directories, tar and zip archives."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from sweeps.data.archives import OPEN_ERRORS, Entry, Parts, iterate_files
from sweeps.data.building import building, check_target, put_in_place, track
from sweeps.data.cache import CacheWriter, Meta, read_meta
from sweeps.data.catalog import PATTERNS, check_name
from sweeps.data.dataset import held_out
from sweeps.data.images import BadImage, decode, is_image
from sweeps.errors import SweepsError

_TEST_NAMES = ("test", "val", "valid", "validation")
_NAMED = 5

_Classes = dict[str, list[Parts]]


@dataclass(frozen=True)
class ImportResult:
    """What an import did.

    Attributes:
        meta: what is known of the dataset.
        already_there: the same images were there before, and nothing was changed.
        notes: what a person should know of how the tree was read.
    """

    meta: Meta
    already_there: bool
    notes: tuple[str, ...]


def import_dataset(
    name: str,
    path: Path,
    data_dir: Path,
    *,
    size: int | None = None,
    replace: bool = False,
) -> ImportResult:
    """Make the dataset `name` of a class-folder tree, a directory or a tar or zip archive.

    Splits are folders `train` and `test` (or `val`, `valid`, `validation`), at the top or inside
    one common folder; without them a sixth of every class becomes the test split. An archive is
    read as it stands, nothing is unpacked to disk.

    Args:
        name: by which `open_data` finds it afterwards.
        path: the directory or archive.
        data_dir: the data folder; made when missing.
        size: scale the shorter side of every image to so many pixels and crop the center; needed
            unless all images are square and equally large.
        replace: replace another dataset of that name.

    Raises:
        SweepsError: one line says what is wrong with the name, the archive, the tree, an image or
            the data folder, or that another dataset has the name.

    Example:
        >>> import_dataset("pets", Path("pets.zip"), Path("data"), size=64).meta.size
        64
    """
    check_name(name)
    if name == PATTERNS:
        raise SweepsError(
            f"{PATTERNS!r} is built in and cannot be imported over; take another name"
        )
    path, target = Path(path), Path(data_dir) / name
    if not path.exists():
        raise SweepsError(f"{path} does not exist")
    with building(name, Path(data_dir)) as folder:
        existing = read_meta(target)
        if existing is None:
            check_target(name, target)
        meta, notes = build_from_tree(folder, name, path, size=size, source="import")
        already_there = existing is not None and existing.fingerprint == meta.fingerprint
        if existing is not None and not already_there and not replace:
            raise SweepsError(
                f"there is another dataset {name!r} in {data_dir} ({existing.fingerprint}, the "
                f"new one is {meta.fingerprint}); replace it (--replace) or take another name"
            )
        if not already_there:
            put_in_place(folder, target)
    return ImportResult(meta, already_there, notes)


def build_from_tree(
    folder: Path, name: str, path: Path, *, size: int | None, source: str
) -> tuple[Meta, tuple[str, ...]]:
    """Fill the empty cache folder `folder` from the tree at `path`; return its meta and notes.

    Raises:
        SweepsError: as `import_dataset`.
    """
    click.echo(f"reading {path}", err=True)
    splits, notes = read_class_tree(path, iterate_files(path))
    places: dict[Parts, tuple[str, int]] = {}
    labels = {}
    for split, classes in splits.items():
        images = [image for images in classes.values() for image in images]
        places |= {image: (split, row) for row, image in enumerate(images)}
        labels[split] = np.repeat(np.arange(len(classes)), [len(c) for c in classes.values()])
    bad: list[str] = []
    first = ""
    doing = f"decoding {name} ({len(places):,} images)"
    entries = (entry for entry in iterate_files(path) if entry[1] and entry[0] in places)
    with CacheWriter(
        folder, name=name, source=source, classes=list(splits["train"]), labels=labels
    ) as writer:
        for parts, open_file in track(entries, doing, len(places)):
            assert open_file is not None
            split, row = places.pop(parts)
            member = "/".join(parts)
            try:
                with open_file() as file:
                    image = decode(file, size)
            except (BadImage, *OPEN_ERRORS) as error:
                bad.append(f"{member} ({error})")
                continue
            height, width = image.shape[:2]
            if height != width or writer.size not in (0, height):
                raise SweepsError(
                    f"{path}: the images are not all square and of one size ({first}{member} is "
                    f"{width}x{height}); scale and crop them with --size PIXELS"
                )
            first = first or f"{member} is {width}x{height}, "
            writer.write(split, row, image)
        if places:
            raise SweepsError(f"{path} changed while it was read")
        if bad:
            more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
            count = "1 image" if len(bad) == 1 else f"{len(bad)} images"
            raise SweepsError(f"{path}: cannot read {count}: {'; '.join(bad[:_NAMED])}{more}")
        return writer.finish(), tuple(notes)


class _Folder:
    """A folder of the tree: its folders, and the names of its own images."""

    def __init__(self, parts: Parts = ()) -> None:
        self.parts = parts
        self.folders: dict[str, _Folder] = {}
        self.images: set[str] = set()

    def add(self, parts: Parts, is_folder: bool) -> None:
        folder = self
        for name in parts if is_folder else parts[:-1]:
            folder = folder.folders.setdefault(name, _Folder((*folder.parts, name)))
        if not is_folder and is_image(parts[-1]):
            folder.images.add(parts[-1])

    def all_images(self) -> Iterator[Parts]:
        yield from ((*self.parts, name) for name in self.images)
        for folder in self.folders.values():
            yield from folder.all_images()

    def splits(self) -> dict[str, str]:
        """Name of a split to that of its folder; one with images of its own is a class."""
        return {
            name.lower(): name
            for name, folder in self.folders.items()
            if name.lower() in ("train", *_TEST_NAMES) and folder.folders and not folder.images
        }


def read_class_tree(path: Path, entries: Iterable[Entry]) -> tuple[dict[str, _Classes], list[str]]:
    """Find splits, classes and images in a listing.

    Where there is no test split a sixth of every class becomes it.

    Args:
        path: what was listed, for messages.
        entries: its files and folders.

    Returns:
        For `train` and `test` the images of each class, all sorted; and what a person should know.

    Raises:
        SweepsError: the tree holds no images, fewer than two classes, a class without images, test
            images but no train split, or splits whose classes differ.
    """
    top = _Folder()
    for parts, open_file in entries:
        top.add(parts, is_folder=open_file is None)
    if next(top.all_images(), None) is None:
        raise SweepsError(f"{path} holds no images")
    while len(top.folders) == 1 and not top.images and not top.splits():
        (inner,) = top.folders.values()
        if not inner.folders:
            break
        top = inner

    splits, notes = top.splits(), []
    if not splits:
        if top.images:
            stray = "/".join((*top.parts, min(top.images)))
            raise SweepsError(f"{path}: {stray!r} lies in no class folder")
        train, test = _classes(path, top), None
    elif "train" not in splits:
        raise SweepsError(f"{path} has a folder {next(iter(splits))!r} but no folder 'train'")
    else:
        train = _classes(path, top.folders[splits["train"]])
        held_out = next((splits[name] for name in _TEST_NAMES if name in splits), None)
        test = _classes(path, top.folders[held_out]) if held_out else None
        unused = sorted(set(top.folders) - {splits["train"], held_out})
        notes += [f"the folder {name!r} is left out" for name in unused]
    if test is None:
        train, test = _hold_out(path, train)
        notes.append("no test folder: one image in 6 of every class became the test split")
    for here, there, split in ((train, test, "test"), (test, train, "train")):
        missing = sorted(set(here) - set(there))
        if missing:
            raise SweepsError(
                f"{path}: the class {missing[0]!r} is missing from the {split} split "
                f"({len(missing)} of {len(here)} are)"
            )
    return {"train": train, "test": test}, notes


def _classes(path: Path, split: _Folder) -> _Classes:
    classes = {name: sorted(split.folders[name].all_images()) for name in sorted(split.folders)}
    for name, images in classes.items():
        if not images:
            shown = "/".join((*split.parts, name))
            raise SweepsError(f"{path}: the class {shown!r} has no images")
    if len(classes) < 2:
        raise SweepsError(
            f"{path} has one class only, {next(iter(classes))!r}; expected a folder for each class"
        )
    return classes


def _hold_out(path: Path, classes: _Classes) -> tuple[_Classes, _Classes]:
    """Split a sixth of every class, at least one image, off as the test split."""
    train, test = {}, {}
    for label, (name, images) in enumerate(classes.items()):
        if len(images) < 2:
            raise SweepsError(
                f"{path}: the class {name!r} has one image, too few for a train and a test split"
            )
        mask = held_out(label, len(images))
        test[name] = [image for image, out in zip(images, mask, strict=True) if out]
        train[name] = [image for image, out in zip(images, mask, strict=True) if not out]
    return train, test
