"""Train and validation: stratified, disjoint, by seed."""

import numpy as np
import pytest

from sweeps.data import split_train_validation
from sweeps.errors import SweepsError

LABELS = np.repeat([0, 1, 2, 3], [100, 200, 50, 10])


def counts(rows):
    return np.bincount(LABELS[rows], minlength=4).tolist()


def test_stratified_disjoint_and_complete():
    train, validation = split_train_validation(LABELS, 0.2, 0)
    assert counts(validation) == [20, 40, 10, 2]
    assert counts(train) == [80, 160, 40, 8]
    assert sorted([*train, *validation]) == list(range(360))
    assert train.dtype == np.int64
    assert (np.diff(train) > 0).all()


def test_a_seed_gives_one_split():
    first, again, other = (split_train_validation(LABELS, 0.2, seed)[1] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)


def test_the_split_stays_the_same_over_versions():
    assert split_train_validation(np.repeat([0, 1], 10), 0.3, 7)[1].tolist() == [
        4,
        5,
        9,
        16,
        18,
        19,
    ]


def test_limits_keep_the_shares_and_leave_the_other_part_alone():
    train, validation = split_train_validation(LABELS, 0.2, 0)
    few, same = split_train_validation(LABELS, 0.2, 0, train_limit=36)
    np.testing.assert_array_equal(same, validation)
    assert counts(few) == [10, 20, 5, 1]
    assert set(few) <= set(train)
    same, few = split_train_validation(LABELS, 0.2, 0, validation_limit=7)
    np.testing.assert_array_equal(same, train)
    assert counts(few) == [2, 4, 1, 0]
    assert set(few) <= set(validation)
    assert len(split_train_validation(LABELS, 0.2, 0, train_limit=10**6)[0]) == 288


@pytest.mark.parametrize(
    ("fraction", "limits", "pattern"),
    [
        (0, {}, "fraction"),
        (1, {}, "fraction"),
        (float("nan"), {}, "fraction"),
        (0.001, {}, "validation empty"),
        (0.2, {"train_limit": 0}, "train limit"),
        (0.2, {"validation_limit": -1}, "validation limit"),
    ],
)
def test_out_of_range(fraction, limits, pattern):
    with pytest.raises(SweepsError, match=pattern):
        split_train_validation(LABELS, fraction, 0, **limits)
