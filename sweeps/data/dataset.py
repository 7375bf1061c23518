"""What a person of the package gets: datasets as arrays, and what is known about them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a dataset, mapped from disk (read-only).

    Attributes:
        images: uint8 [N, S, S, 3], RGB.
        labels: int64 [N], indices into the dataset's classes.
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset at one size.

    Attributes:
        name: the name it is opened by.
        size: height and width of every picture, in pixels.
        classes: names; a label is an index into them.
        fingerprint: `sha256:` and 16 hex digits over classes, labels and the pictures at their base
            size; the same at every size made by scaling.
        mean: of the train split, per channel (R, G, B), in 0..1.
        std: likewise the standard deviation.
        train: the split to train and validate on.
        test: the split that only confirmation touches.
    """

    name: str
    size: int
    classes: tuple[str, ...]
    fingerprint: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    train: Split
    test: Split


@dataclass(frozen=True)
class DatasetInfo:
    """What `list_datasets` tells about a dataset.

    Attributes:
        name: the name it is opened by.
        on_disk: whether something of it is built.
        source: `torchvision`, `import` or `patterns`.
        sizes: built sizes in pixels, the base size first; empty when not on disk.
        train_count: pictures in the train split; None when not on disk.
        test_count: likewise of the test split.
        classes: class names; empty when not on disk.
        fingerprint: see `Dataset`; None when not on disk. `patterns` has another at each size, and
            this is the first size's.
    """

    name: str
    on_disk: bool
    source: str
    sizes: tuple[int, ...] = ()
    train_count: int | None = None
    test_count: int | None = None
    classes: tuple[str, ...] = ()
    fingerprint: str | None = None
