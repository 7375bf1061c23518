"""Which files of a class-folder tree are which class's pictures of which split."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from sweeps.data.files import Entry
from sweeps.data.pictures import is_picture
from sweeps.errors import SweepsError

_TEST_NAMES = ("test", "val", "valid", "validation")
_HELD_OUT = 6

Parts = tuple[str, ...]


@dataclass(frozen=True)
class ClassTree:
    """Where each picture goes.

    Attributes:
        classes: folder names, sorted.
        rows: for the path of each picture its split and row; rows are sorted by class, then name.
        labels: for each split int64 [N].
        notes: what a person should hear about how the tree was read.
    """

    classes: tuple[str, ...]
    rows: dict[Parts, tuple[str, int]]
    labels: dict[str, np.ndarray]
    notes: tuple[str, ...]


class _Folder:
    def __init__(self) -> None:
        self.folders: dict[str, _Folder] = {}
        self.files: list[str] = []

    def pictures(self) -> list[str]:
        return [name for name in self.files if is_picture(name)]

    def all_pictures(self, prefix: Parts) -> Iterator[Parts]:
        for name in self.pictures():
            yield (*prefix, name)
        for name, folder in self.folders.items():
            yield from folder.all_pictures((*prefix, name))


def read_class_tree(path: Path, entries: Iterable[Entry]) -> ClassTree:
    """Finds splits, classes and pictures in a listing.

    Splits are folders `train` and `test` (or `val`, `valid`, `validation`), at the top or inside
    one common folder. Where there is no test split a sixth of every class becomes it.

    Args:
        path: what was listed, for messages.
        entries: its files and folders.

    Raises:
        SweepsError: the tree holds no pictures, fewer than two classes, a class without pictures, a
            train split that is missing, or splits whose classes differ.
    """
    root = _Folder()
    for entry in entries:
        _add(path, root, entry)
    if next(root.all_pictures(()), None) is None:
        raise SweepsError(f"{path} holds no pictures")
    prefix: Parts = ()
    while len(root.folders) == 1 and not root.pictures() and not _split_folders(root):
        (name,) = root.folders
        if not root.folders[name].folders:
            break
        root, prefix = root.folders[name], (*prefix, name)

    splits = _split_folders(root)
    notes = []
    if not splits:
        if root.pictures():
            raise SweepsError(
                f"{path}: {'/'.join((*prefix, root.pictures()[0]))!r} lies in no class folder"
            )
        train, test = _classes(path, root, prefix), None
    elif "train" not in splits:
        raise SweepsError(f"{path} has a folder {next(iter(splits))!r} but no folder 'train'")
    else:
        train = _classes(path, root.folders[splits["train"]], (*prefix, splits["train"]))
        held_out = next((splits[n] for n in _TEST_NAMES if n in splits), None)
        used = {splits["train"], held_out}
        test = _classes(path, root.folders[held_out], (*prefix, held_out)) if held_out else None
        notes += [f"the folder {n!r} is left out" for n in sorted(root.folders) if n not in used]
        if test:
            _check_agreement(path, train, test)
    if test is None:
        test = _hold_out(path, train)
        notes.append(
            f"no test folder: one picture in {_HELD_OUT} of every class became the test split"
        )
    return _number(train, test, notes)


def _add(path: Path, root: _Folder, entry: Entry) -> None:
    *parents, name = entry.parts
    folder = root
    for part in parents:
        folder = folder.folders.setdefault(part, _Folder())
    if entry.is_folder:
        folder.folders.setdefault(name, _Folder())
    else:
        folder.files.append(name)


def _split_folders(root: _Folder) -> dict[str, str]:
    """Split name -> folder name; a folder with pictures of its own is a class all the same."""
    return {
        name.lower(): name
        for name, folder in root.folders.items()
        if name.lower() in ("train", *_TEST_NAMES) and folder.folders and not folder.pictures()
    }


def _classes(path: Path, split: _Folder, prefix: Parts) -> dict[str, list[Parts]]:
    classes = {}
    for name in sorted(split.folders):
        pictures = sorted(split.folders[name].all_pictures((*prefix, name)))
        if not pictures:
            raise SweepsError(f"{path}: the class {'/'.join((*prefix, name))!r} has no pictures")
        for first, second in pairwise(pictures):
            if first == second:
                raise SweepsError(f"{path} has {'/'.join(first)!r} twice")
        classes[name] = pictures
    if len(classes) < 2:
        raise SweepsError(
            f"{path} has one class only, {next(iter(classes))!r}; expected a folder for each class"
        )
    return classes


def _check_agreement(
    path: Path, train: dict[str, list[Parts]], test: dict[str, list[Parts]]
) -> None:
    for here, there, split in ((train, test, "test"), (test, train, "train")):
        missing = sorted(set(here) - set(there))
        if missing:
            raise SweepsError(
                f"{path}: the class {missing[0]!r} is missing from the {split} split "
                f"({len(missing)} of {len(here)} are)"
            )


def _hold_out(path: Path, train: dict[str, list[Parts]]) -> dict[str, list[Parts]]:
    """Moves a sixth of every class, at least one picture, out of `train`."""
    test = {}
    for label, (name, pictures) in enumerate(train.items()):
        if len(pictures) < 2:
            raise SweepsError(
                f"{path}: the class {name!r} has one picture, too few for a train and a test split"
            )
        order = np.random.RandomState(label).permutation(len(pictures))
        chosen = set(order[: max(1, len(pictures) // _HELD_OUT)].tolist())
        test[name] = [p for i, p in enumerate(pictures) if i in chosen]
        train[name] = [p for i, p in enumerate(pictures) if i not in chosen]
    return test


def _number(
    train: dict[str, list[Parts]], test: dict[str, list[Parts]], notes: list[str]
) -> ClassTree:
    rows = {}
    labels: dict[str, list[int]] = defaultdict(list)
    for split, classes in (("train", train), ("test", test)):
        for label, pictures in enumerate(classes.values()):
            for picture in pictures:
                rows[picture] = (split, len(labels[split]))
                labels[split].append(label)
    arrays = {split: np.array(numbers, dtype=np.int64) for split, numbers in labels.items()}
    return ClassTree(tuple(train), rows, arrays, tuple(notes))
