"""What is declared of two arms: better, worse, equal within the margin, or not resolved."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sweeps.verdicts.sequence import confidence_sequence, half_width

Declaration = Literal["better", "worse", "equal", "not resolved"]

#: Whoever needs more seeds than so many will not get them.
_MOST_SEEDS = 10_000


@dataclass(frozen=True)
class Verdict:
    """Where the comparison of one arm with another stands.

    Attributes:
        declaration: what is declared of the first arm; ``equal`` means within the margin.
        mean: of the paired differences, the first arm's value minus the second's; NaN without any.
        low, high: the ends of the confidence sequence, infinite as long as nothing can be said.
        seeds: how many differences there are.
        seeds_needed: after how many it would be settled if mean and spread stayed as they are;
            ``None`` where that cannot be said, or is far out of reach. For a settled comparison
            this is ``seeds``.
    """

    declaration: Declaration
    mean: float
    low: float
    high: float
    seeds: int
    seeds_needed: int | None

    @property
    def is_settled(self) -> bool:
        return self.declaration != "not resolved"


def declare(low: ArrayLike, high: ArrayLike, margin: float) -> NDArray[np.str_]:
    """Return what intervals declare, a :data:`Declaration` each.

    The mean is *equal* within the margin where the whole interval lies there, also if 0 does not;
    else *better* or *worse* where the interval excludes 0.

    Args:
        low: the intervals' lower ends.
        high: their upper ends, of the same shape.
        margin: the smallest difference that matters.

    Example:
        >>> declare([-0.001, 0.001, -0.02], [0.002, 0.02, 0.02], 0.005).tolist()
        ['equal', 'better', 'not resolved']
    """
    low, high = np.asarray(low), np.asarray(high)
    within = (-margin <= low) & (high <= margin)
    return np.select([within, low > 0, high < 0], ["equal", "better", "worse"], "not resolved")


def decide(
    differences: Sequence[float], *, margin: float, error: float, comparisons: int = 1
) -> Verdict:
    """Decide what paired differences declare; may be called after every one of them.

    Over a whole course of any length, and all comparisons together, a wrong declaration has at most
    the probability ``error``: each comparison is given ``error / comparisons`` (Bonferroni).

    Args:
        differences: of the arms' values on the same seed; larger values are better.
        margin: the smallest difference that matters, in the unit of the values.
        error: the familywise error.
        comparisons: how many comparisons are made in all.

    Raises:
        ValueError: the margin is not positive, the error not between 0 and 1, or a difference is
            not finite.

    Example:
        >>> decide([0.021, 0.019, 0.02, 0.022, 0.018, 0.02], margin=0.005, error=0.05).declaration
        'better'
        >>> decide([0.021, -0.019], margin=0.005, error=0.05).declaration
        'not resolved'
    """
    if not margin > 0:
        raise ValueError(f"margin must be above 0, got {margin!r}")
    share = error / comparisons
    lows, highs = confidence_sequence(differences, share)
    count = len(differences)
    if not count:
        return Verdict("not resolved", math.nan, -math.inf, math.inf, 0, None)
    mean, low, high = float(np.mean(differences)), float(lows[-1]), float(highs[-1])
    declaration = cast(Declaration, declare(low, high, margin).item())
    needed: int | None = count
    if declaration == "not resolved":
        deviation = float(np.std(differences, ddof=1)) if count > 1 else math.nan
        needed = _seeds_needed(abs(mean), deviation, count, margin, share)
    return Verdict(declaration, mean, low, high, count, needed)


def probability_better(differences: Sequence[float]) -> float:
    """Estimate the probability that one run of the first arm beats one of the second.

    That is the share of the seeds on which it did; equal values count half (Bouthillier et al.
    2021, "Accounting for variance in machine learning benchmarks",
    https://arxiv.org/abs/2103.03098). NaN without any.

    Example:
        >>> probability_better([0.02, 0.01, -0.01, 0.0])
        0.625
    """
    if not differences:
        return math.nan
    return float(np.mean((np.sign(differences) + 1) / 2))


def _seeds_needed(
    mean: float, deviation: float, count: int, margin: float, error: float
) -> int | None:
    """Return after how many seeds an interval of this mean and deviation would settle."""
    if math.isnan(deviation):
        return None
    counts = np.arange(count + 1, _MOST_SEEDS + 1)
    enough = half_width(deviation, counts, error) <= max(mean, margin - mean)
    return int(counts[enough][0]) if enough.any() else None
