"""Declarations from paired differences, looked at after every seed."""

import math

import numpy as np
import pytest

from sweeps.verdicts import (
    Verdict,
    confidence_sequence,
    decide,
    declare,
    fewest_seeds,
    half_width,
    next_seeds,
    probability_better,
)

DIFFERENCES = [0.021, 0.017, 0.024, 0.015, 0.022, 0.019, 0.026]


def bayes_factor(x, mean):
    n, t = len(x), math.sqrt(len(x)) * (np.mean(x) - mean) / np.std(x, ddof=1)
    ratio = (1 + t**2 / (n - 1)) / (1 + t**2 / ((n - 1) * (1 + n)))
    return ratio ** (n / 2) / math.sqrt(1 + n)


@pytest.mark.parametrize("error", [0.05, 0.005])
def test_ends_are_where_the_bayes_factor_reaches_one_over_the_error(error):
    width = float(half_width(np.std(DIFFERENCES, ddof=1), len(DIFFERENCES), error))
    for end in (np.mean(DIFFERENCES) - width, np.mean(DIFFERENCES) + width):
        assert bayes_factor(DIFFERENCES, end) == pytest.approx(1 / error)


def test_sequence_shrinks_and_follows_shift_and_scale():
    x = np.random.default_rng(0).normal(0.01, 0.02, 60)
    low, high = confidence_sequence(x, 0.05)
    assert (np.diff(low[4:]) >= 0).all()
    assert (np.diff(high[4:]) <= 0).all()
    assert np.isinf(low[:4]).all()
    assert np.isfinite(low[4:]).all()
    moved_low, moved_high = confidence_sequence(5 + 2 * x, 0.05)
    np.testing.assert_allclose(moved_low, 5 + 2 * low, atol=1e-12)
    np.testing.assert_allclose(moved_high, 5 + 2 * high, atol=1e-12)


def test_courses_of_several_comparisons_are_independent():
    x = np.random.default_rng(1).normal(size=(3, 2, 20))
    low, high = confidence_sequence(x, 0.05)
    for index in np.ndindex(3, 2):
        one_low, one_high = confidence_sequence(x[index], 0.05)
        np.testing.assert_array_equal(low[index], one_low)
        np.testing.assert_array_equal(high[index], one_high)


def test_intervals_without_a_common_point_declare_nothing():
    low, high = confidence_sequence([0.1, 0.1, 0.1, 0.1, 0.1, -0.1, -0.1, -0.1], 0.05)
    assert low[4] == high[4] == pytest.approx(0.1)
    low, high = confidence_sequence([0.1] * 5 + [5.0, -9.0] * 50, 0.05)
    assert math.isnan(low[-1]) or low[-1] <= 0.1 <= high[-1]
    assert declare(math.nan, math.nan, 0.005) == "not resolved"


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.001, 0.02, "better"),
        (-0.02, -0.001, "worse"),
        (-0.004, 0.004, "equal"),
        (0.001, 0.004, "equal"),
        (-0.001, 0.02, "not resolved"),
        (0.0, 0.02, "not resolved"),
        (-math.inf, math.inf, "not resolved"),
    ],
)
def test_declarations(low, high, word):
    assert declare(low, high, 0.005) == word


def test_a_clear_difference_is_declared_either_way_round():
    better = decide(DIFFERENCES, margin=0.005, error=0.05)
    worse = decide([-x for x in DIFFERENCES], margin=0.005, error=0.05)
    assert (better.declaration, worse.declaration) == ("better", "worse")
    assert better.low == pytest.approx(-worse.high)
    assert better.seeds == better.seeds_needed == len(DIFFERENCES)


def test_more_comparisons_need_more_evidence():
    one = decide(DIFFERENCES, margin=0.005, error=0.05)
    many = decide(DIFFERENCES, margin=0.005, error=0.05, comparisons=10)
    assert many.low < one.low < one.mean < one.high < many.high


def test_seeds_needed_would_settle_it():
    noise = np.random.default_rng(2).normal(0, 0.01, 10)
    noise = (noise - noise.mean()) / noise.std(ddof=1) * 0.01
    verdict = decide([*(0.008 + noise)], margin=0.005, error=0.05)
    assert verdict.declaration == "not resolved"
    assert verdict.seeds_needed is not None
    needed = verdict.seeds_needed
    assert half_width(0.01, needed, 0.05) <= 0.008 < half_width(0.01, needed - 1, 0.05)


def test_too_few_seeds_declare_nothing():
    for few in ([], [0.5], [0.5] * 4):
        verdict = decide(few, margin=0.005, error=0.05)
        assert verdict.declaration == "not resolved"
        assert math.isinf(verdict.low)
    assert decide([], margin=0.005, error=0.05).seeds_needed is None


@pytest.mark.parametrize("margin", [0, -0.01, math.nan])
def test_margins_above_zero_are_needed(margin):
    with pytest.raises(ValueError, match="margin must be above 0"):
        decide(DIFFERENCES, margin=margin, error=0.05)


@pytest.mark.parametrize("error", [0, 1, math.nan])
def test_errors_between_zero_and_one_are_needed(error):
    with pytest.raises(ValueError, match="error must be between 0 and 1"):
        decide(DIFFERENCES, margin=0.005, error=error)


def test_differences_must_be_finite():
    with pytest.raises(ValueError, match="finite"):
        decide([0.1, math.nan], margin=0.005, error=0.05)


def normal(rng, shape):
    return rng.normal(0, 0.01, shape)


def dying(rng, shape):
    return np.where(rng.random(shape) < 0.2, 0.1, rng.normal(0.6, 0.007, shape))


@pytest.mark.parametrize("runs", [normal, dying])
def test_identical_arms_are_seldom_told_apart_in_a_whole_course(runs):
    rng = np.random.default_rng(3)
    shape = (2000, 60)
    low, high = confidence_sequence(runs(rng, shape) - runs(rng, shape), 0.05)
    assert ((low > 0) | (high < 0)).any(-1).mean() <= 0.05


def test_twice_the_margin_is_found():
    rng = np.random.default_rng(4)
    low, high = confidence_sequence(rng.normal(0.01, 0.01, (2000, 60)), 0.05)
    assert (declare(low, high, 0.005)[:, -1] == "better").mean() > 0.99


@pytest.mark.parametrize("error", [0.05, 0.05 / 13, 1e-4])
def test_with_fewer_seeds_no_interval_is_finite(error):
    few = fewest_seeds(error)
    low, _ = confidence_sequence(np.random.default_rng(5).normal(size=few), error)
    assert np.isinf(low[:-1]).all()
    assert np.isfinite(low[-1])


def test_probability_better_counts_ties_by_half():
    assert probability_better([0.1, 0.2, -0.1, 0.0]) == 0.625
    assert math.isnan(probability_better([]))


def pending(seeds, needed):
    return Verdict("not resolved", 0.001, -0.01, 0.01, seeds, needed)


SETTLED = Verdict("better", 0.05, 0.03, 0.07, 8, 8)


class TestNextSeeds:
    def test_only_what_is_open_gets_more(self):
        verdicts = {("a", "plain"): pending(8, 40), ("b", "plain"): SETTLED}
        seeds = {"plain": 8, "a": 8, "b": 8}
        wanted = next_seeds(verdicts, seeds, most_seeds=30)
        assert wanted == {"plain": 10, "a": 10, "b": 8}
        settled = dict.fromkeys(verdicts, SETTLED)
        assert next_seeds(settled, seeds, most_seeds=30) == seeds

    def test_no_more_than_would_settle_it_than_there_are_or_than_is_paid_for(self):
        verdicts, seeds = {("a", "b"): pending(40, 41)}, {"a": 40, "b": 40}
        assert next_seeds(verdicts, seeds, most_seeds=99) == {"a": 41, "b": 41}
        assert next_seeds(verdicts, seeds, most_seeds=40) == seeds
        verdicts = {("a", "b"): pending(40, 90)}
        assert next_seeds(verdicts, seeds, most_seeds=99) == {"a": 50, "b": 50}
        assert next_seeds(verdicts, seeds, most_seeds=99, runs_left=5) == {"a": 42, "b": 42}
        assert next_seeds(verdicts, seeds, most_seeds=99, runs_left=1) == seeds

    def test_the_last_runs_go_where_the_fewest_settle_something(self):
        verdicts = {
            ("far", "plain"): pending(8, None),
            ("farther", "plain"): pending(8, 300),
            ("near", "plain"): pending(8, 9),
        }
        seeds = {"plain": 8, "far": 8, "farther": 8, "near": 8}
        wanted = next_seeds(verdicts, seeds, most_seeds=30, runs_left=2)
        assert wanted == seeds | {"plain": 9, "near": 9}

    def test_an_arm_that_lags_behind_is_brought_up(self):
        """An arm whose verdicts were settled meets one that went on."""
        verdicts = {("a", "b"): pending(8, 40)}
        wanted = next_seeds(verdicts, {"a": 20, "b": 8}, most_seeds=30)
        assert wanted == {"a": 20, "b": 10}
