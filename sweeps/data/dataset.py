"""Datasets as arrays, and the stratified split of their images into train and validation."""

from dataclasses import dataclass

import numpy as np

from sweeps.errors import SweepsError
from sweeps.spec.config import RunConfig


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
        size: height and width of every image, in pixels.
        classes: names; a label is an index into them.
        fingerprint: ``sha256:`` and 16 hex digits over classes, labels and the images at their base
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


def held_out(label: int, count: int) -> np.ndarray:
    """Choose a sixth of a class's images, at least one, for a test split: bool [count]."""
    chosen = np.random.RandomState(label).permutation(count)[: max(1, count // 6)]
    return np.isin(np.arange(count), chosen)


def split_rows(config: RunConfig, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Choose the rows of a dataset's train split to train on, and those to validate on.

    Both have the classes in equal shares. Neither depends on the other's limit, and a limited part
    is a subset of the whole one.

    Returns:
        Indices of the train rows and of the validation rows, int64, ascending, disjoint.

    Raises:
        SweepsError: a part would be empty.

    Example:
        Of 100 labels 0 and 200 labels 1, ``data.validation: 0.1`` holds out 10 and 20 rows.
    """
    data, labels = config.data, dataset.train.labels
    classes, counts = np.unique(labels, return_counts=True)
    train, validation = [], []
    shares = _shares(counts, round(data.validation * len(labels)))
    for label, count in zip(classes, shares, strict=True):
        rows = np.flatnonzero(labels == label)
        # Each class has its own stream, of a generator whose numbers are the same in every version.
        sequence = np.random.SeedSequence([data.split_seed, int(label)])
        rows = np.random.RandomState(np.random.MT19937(sequence)).permutation(rows)
        validation.append(rows[:count])
        train.append(rows[count:])
    parts = _limited(train, data.train_limit), _limited(validation, data.validation_limit)
    for name, rows in zip(("train", "validation"), parts, strict=True):
        if len(rows) == 0:
            raise SweepsError(
                f"data.validation: {data.validation} of {len(labels)} images leaves {name} empty"
            )
    return parts


def _limited(rows_by_class: list[np.ndarray], limit: int | None) -> np.ndarray:
    counts = np.array([len(rows) for rows in rows_by_class], dtype=np.int64)
    if limit is not None and limit < counts.sum():
        counts = _shares(counts, limit)
    taken = [rows[:count] for rows, count in zip(rows_by_class, counts, strict=True)]
    return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *taken]))


def _shares(counts: np.ndarray, total: int) -> np.ndarray:
    """Split `total` in proportion to `counts` by largest remainder, ties in order."""
    shares, remainders = np.divmod(counts * total, max(1, counts.sum()))
    order = np.argsort(-remainders, kind="stable")
    shares[order[: total - shares.sum()]] += 1
    return shares
