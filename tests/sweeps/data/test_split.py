"""Train and validation: stratified, disjoint, by seed."""

from types import SimpleNamespace

import numpy as np
import pytest

from sweeps.data import split_rows
from sweeps.errors import SweepsError
from sweeps.spec.config import RunConfig

LABELS = np.repeat([0, 1, 2, 3], [100, 200, 50, 10])


def split(labels=LABELS, **data):
    config = RunConfig.model_validate({"data": {"validation": 0.2, **data}})
    return split_rows(config, SimpleNamespace(train=SimpleNamespace(labels=labels)))


def counts(rows):
    return np.bincount(LABELS[rows], minlength=4).tolist()


def test_stratified_disjoint_and_complete():
    train, validation = split()
    assert counts(validation) == [20, 40, 10, 2]
    assert counts(train) == [80, 160, 40, 8]
    assert sorted([*train, *validation]) == list(range(360))
    assert train.dtype == np.int64
    assert (np.diff(train) > 0).all()


def test_a_seed_gives_one_split():
    first, again, other = (split(split_seed=seed)[1] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)


def test_the_split_stays_the_same_over_versions():
    _, validation = split(np.repeat([0, 1], 10), validation=0.3, split_seed=7)
    assert validation.tolist() == [4, 5, 9, 16, 18, 19]


def test_limits_keep_the_shares_and_leave_the_other_part_alone():
    train, validation = split()
    few, same = split(train_limit=36)
    np.testing.assert_array_equal(same, validation)
    assert counts(few) == [10, 20, 5, 1]
    assert set(few) <= set(train)
    same, few = split(validation_limit=7)
    np.testing.assert_array_equal(same, train)
    assert counts(few) == [2, 4, 1, 0]
    assert set(few) <= set(validation)
    assert len(split(train_limit=10**6)[0]) == 288


def test_a_share_that_leaves_nothing_is_refused():
    with pytest.raises(SweepsError, match="leaves validation empty"):
        split(validation=0.001)
