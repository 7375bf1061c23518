"""Datasets of torch's form, an image and a label by index, decoded once into a cache."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from sweeps.data.building import track
from sweeps.data.cache import SPLITS, CacheWriter
from sweeps.data.dataset import held_out
from sweeps.data.images import BadImage, square, to_rgb
from sweeps.errors import SweepsError
from sweeps.spec.imports import make_imported, with_place


def build_from_import(
    folder: Path,
    name: str,
    reference: str,
    options: Mapping[str, Any],
    *,
    size: int | None,
) -> None:
    """Fill the empty cache folder `folder` from two datasets that a person's function returns.

    Raises:
        SweepsError: the function cannot be called, or what it returns or one of its items has
            another form.
    """
    made = make_imported(reference, dict(options), "data", tuple)
    where = f"data.import: {reference}"
    if len(made) not in (2, 3):
        raise SweepsError(f"{where} returned {len(made)} values; expected (train, test)")
    train, test = made[:2]
    for split, items in (("train", train), ("test", test)):
        if not hasattr(items, "__len__") or not hasattr(items, "__getitem__"):
            raise SweepsError(
                f"{where}: the {split} dataset is {type(items).__name__}; expected one with a "
                "length and items by index"
            )
    classes = made[2] if len(made) == 3 else getattr(train, "classes", None)
    if classes is None:
        raise SweepsError(
            f"{where}: the train dataset has no attribute classes; give it one, a list of names, "
            "or return (train, test, classes)"
        )
    build_from_items(
        folder,
        name,
        {"train": [train], "test": [test]},
        classes=[str(known) for known in classes],
        size=size,
        source="import",
        where=where,
    )


def build_from_items(
    folder: Path,
    name: str,
    parts: Mapping[str, Sequence[Any]],
    *,
    classes: Sequence[str] | None,
    size: int | None,
    source: str,
    where: str,
) -> None:
    """Fill the empty cache folder `folder`; each item is asked for once.

    Args:
        folder: see `CacheWriter`, as for `name` and `source`.
        parts: for `train` and `test` the datasets that make up the split, of items
            `(image, label)`. The image is Pillow's, a uint8 array [H, W] or [H, W, 1 or 3], or a
            uint8 tensor [H, W] or [1 or 3, H, W]; the label is an index into the classes. Without
            a part for `test` a sixth of every class becomes it.
        classes: names; None for the labels that occur, in their order.
        size: scale the shorter side to so many pixels and crop the center; None where all images
            are square and equally large.
        where: what the datasets come from, for messages.

    Raises:
        SweepsError: an item has another form; its split and index are named.
    """
    items = [
        (split, part, index)
        for split in SPLITS
        for part in parts[split]
        for index in range(len(part))
    ]
    is_test = np.array([split == "test" for split, _, _ in items], dtype=bool)
    given: dict[str, list[int]] = {split: [] for split in SPLITS}
    with tempfile.TemporaryFile(dir=folder) as spool:
        images = _Images(spool, size)
        doing = f"decoding {name} ({len(items):,} images)"
        for split, part, index in track(items, doing, len(items)):
            item_name = f"{where}: {split} item {len(given[split])}"
            image, number = _read(part, index, item_name, classes)
            images.add(image, item_name)
            given[split].append(number)
        numbers = np.array(given["train"] + given["test"], dtype=np.int64)
        if classes is None:
            values, numbers = np.unique(numbers, return_inverse=True)
            classes = [str(value) for value in values]
        if len(classes) < 2:
            raise SweepsError(f"{where}: expected two classes or more, got {len(classes)}")
        # Rows are sorted by class.
        order = np.argsort(numbers, kind="stable")
        if not parts["test"]:
            is_test[order] = np.concatenate(
                [held_out(label, count) for label, count in enumerate(np.bincount(numbers))]
            )
        rows = {"train": order[~is_test[order]], "test": order[is_test[order]]}
        for split in SPLITS:
            if len(rows[split]) == 0:
                raise SweepsError(f"{where}: the {split} dataset is empty")
        labels = {split: numbers[rows[split]] for split in SPLITS}
        with CacheWriter(
            folder, name=name, source=source, classes=classes, labels=labels
        ) as writer:
            stored = images.mapped()
            for split in SPLITS:
                for row, stored_row in enumerate(rows[split]):
                    writer.write(split, row, stored[stored_row])
            writer.finish()


def _read(part: Any, index: int, item_name: str, classes: Sequence[str] | None) -> tuple[Any, int]:
    """Ask for an item, an image and its label."""
    try:
        item = part[index]
    except Exception as error:
        raise SweepsError(f"{item_name}: {with_place(error)}") from error
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise SweepsError(f"{item_name} is {_described(item)}; expected (image, label)")
    image, label = item
    try:
        number = label.__index__()
    except (AttributeError, TypeError, ValueError):
        raise SweepsError(f"{item_name} has the label {label!r}; expected an integer") from None
    if classes is not None and not 0 <= number < len(classes):
        raise SweepsError(
            f"{item_name} has the label {number}; expected 0 to {len(classes) - 1}, for "
            f"{len(classes)} classes"
        )
    return image, int(number)


class _Images:
    """Images of one size, written one after the other into a temporary file."""

    def __init__(self, file: IO[bytes], size: int | None) -> None:
        self._file, self._wanted = file, size
        self._size, self._count = 0, 0

    def add(self, value: Any, item_name: str) -> None:
        image = _as_image(value, item_name)
        if self._wanted is not None and image.size != (self._wanted, self._wanted):
            image = square(image, self._wanted)
        if image.width != image.height or self._size not in (0, image.width):
            shown = f", the ones before {self._size}x{self._size}" if self._count else ""
            raise SweepsError(
                f"{item_name} is {image.width}x{image.height}{shown}: where images are not all "
                "square and of one size, give data.size"
            )
        self._size = image.width
        self._count += 1
        self._file.write(image.tobytes())

    def mapped(self) -> np.ndarray:
        """All of them, uint8 [N, S, S, 3]."""
        self._file.flush()
        shape = (self._count, self._size, self._size, 3)
        return np.memmap(self._file, np.uint8, "r", shape=shape)


def _as_image(value: Any, item_name: str) -> Image.Image:
    """An item's image as an RGB image of Pillow's."""
    pixels = value
    if isinstance(value, Image.Image):
        try:
            return to_rgb(value)
        except (BadImage, OSError) as error:
            raise SweepsError(f"{item_name}: {error}") from error
    if not isinstance(value, np.ndarray) and hasattr(value, "numpy"):
        # A tensor has its channels first. Torch need not be imported to see that.
        pixels = value.numpy(force=True)
        if pixels.ndim == 3:
            pixels = pixels.transpose(1, 2, 0)
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8:
        raise SweepsError(
            f"{item_name} has {_described(value)} for an image; expected a PIL image, or uint8"
        )
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or 0 in pixels.shape:
        raise SweepsError(
            f"{item_name} has {_described(value)} for an image; expected an array [H, W] or "
            "[H, W, 1 or 3], or a tensor [H, W] or [1 or 3, H, W]"
        )
    return Image.fromarray(np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3))))


def _described(value: Any) -> str:
    """`float32 Tensor [3, 32, 32]`, or the type alone."""
    kind = type(value).__name__
    if not hasattr(value, "dtype") or not hasattr(value, "shape"):
        return kind
    return f"{str(value.dtype).removeprefix('torch.')} {kind} {list(value.shape)}"
