"""The stratified split of the train pictures into train and validation."""

import numpy as np

from sweeps.data.dataset import Dataset
from sweeps.errors import SweepsError
from sweeps.spec.config import RunConfig


def split_rows(config: RunConfig, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a dataset's train part to train on, and those to validate on."""
    data = config.data
    return split_train_validation(
        dataset.train.labels,
        data.validation,
        data.split_seed,
        data.train_limit,
        data.validation_limit,
    )


def split_train_validation(
    labels: np.ndarray,
    fraction: float,
    seed: int,
    train_limit: int | None = None,
    validation_limit: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Splits rows into train and validation so that both have the classes in equal shares.

    Neither part depends on the other's limit, and a limited part is a subset of the whole one.

    Args:
        labels: int [N].
        fraction: share of the rows held out for validation, in (0, 1).
        seed: non-negative; another seed is another split.
        train_limit: at most so many train rows, the classes in equal shares still; None is all.
        validation_limit: likewise for validation.

    Returns:
        Indices of the train rows and of the validation rows, int64, ascending, disjoint.

    Raises:
        SweepsError: the fraction or a limit is out of range, or a part would be empty.
    """
    if not 0 < fraction < 1:
        raise SweepsError(f"the validation fraction must lie between 0 and 1, not be {fraction}")
    for part, limit in (("train", train_limit), ("validation", validation_limit)):
        if limit is not None and limit < 1:
            raise SweepsError(f"the {part} limit must be positive, not {limit}")
    classes, counts = np.unique(labels, return_counts=True)
    held_out = _shares(counts, round(fraction * len(labels)))
    train, validation = [], []
    for label, count in zip(classes, held_out, strict=True):
        rows = np.flatnonzero(labels == label)
        # A stream of its own for each class, of a generator whose numbers never change.
        sequence = np.random.SeedSequence([seed, int(label)])
        rows = np.random.RandomState(np.random.MT19937(sequence)).permutation(rows)
        validation.append(rows[:count])
        train.append(rows[count:])
    parts = _limited(train, train_limit), _limited(validation, validation_limit)
    for name, rows in zip(("train", "validation"), parts, strict=True):
        if len(rows) == 0:
            raise SweepsError(
                f"the validation fraction {fraction} of {len(labels)} pictures leaves {name} empty"
            )
    return parts


def _limited(rows_by_class: list[np.ndarray], limit: int | None) -> np.ndarray:
    counts = np.array([len(rows) for rows in rows_by_class], dtype=np.int64)
    if limit is not None and limit < counts.sum():
        counts = _shares(counts, limit)
    taken = [rows[:count] for rows, count in zip(rows_by_class, counts, strict=True)]
    return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *taken]))


def _shares(counts: np.ndarray, total: int) -> np.ndarray:
    """Splits `total` in proportion to `counts` by largest remainder; equal ones in order."""
    whole = int(counts.sum())
    shares = [int(count) * total // whole for count in counts]
    remainders = [int(count) * total % whole for count in counts]
    order = sorted(range(len(shares)), key=lambda i: (-remainders[i], i))
    for i in order[: total - sum(shares)]:
        shares[i] += 1
    return np.array(shares, dtype=np.int64)
