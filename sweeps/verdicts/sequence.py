r"""A confidence sequence for the mean of paired differences.

A confidence *interval* holds at a number of seeds that was fixed before; whoever looks after every
seed and stops when the answer pleases is wrong more often than the error says. A confidence
*sequence* :math:`C_1, C_2, \ldots` holds at all of them at once,

.. math:: P(\exists n: \mu \notin C_n) \le \alpha,

so looking, stopping and going on cost nothing.

This one inverts the Bayes factor of the t test with a normal prior of variance :math:`g` on the
standardized effect :math:`\mu / \sigma`,

.. math::
    B_n(\mu) = (1 + n g)^{-1/2}
    \left( \frac{1 + t^2 / \nu}{1 + t^2 / (\nu (1 + n g))} \right)^{(\nu + 1) / 2},
    \qquad t = \sqrt{n} \, \frac{\bar x - \mu}{s}, \quad \nu = n - 1

(Gönen et al. 2005, "The Bayesian two-sample t test"). It is a nonnegative martingale under
:math:`\mu` whatever :math:`\sigma` (Pérez-Ortiz et al. 2022, "E-statistics, group invariance and
anytime valid testing", https://arxiv.org/abs/2208.07610; Wang & Ramdas 2024, "Anytime-valid t-tests
and confidence sequences for Gaussian means with unknown variance",
https://arxiv.org/abs/2310.03722), so by Ville's inequality it ever reaches :math:`1 / \alpha` with
probability :math:`\alpha` at most.

The differences are taken to be normal. How far the error holds where they are not, as with runs
that die, is simulated by ``make bench-verdicts``.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Variance of the prior on mean / standard deviation: effects of about one standard deviation are
#: found soonest.
EFFECT_VARIANCE = 1.0

Array = NDArray[np.float64]


def half_width(deviation: ArrayLike, count: ArrayLike, error: float) -> Array:
    r"""Return half the width of the interval, without what earlier ones excluded.

    .. math::
        w = s \sqrt{\frac{\nu}{n} \cdot \frac{K - 1}{1 - K / (1 + n g)}}, \qquad
        K = \bigl(\sqrt{1 + n g} / \alpha\bigr)^{2 / n}

    It is infinite as long as :math:`K \ge 1 + n g`: at an error of 0.05 for the first four seeds.

    Args:
        deviation: standard deviation :math:`s` of the differences, with divisor :math:`n - 1`.
        count: number of differences :math:`n`; broadcast against ``deviation``.
        error: the probability :math:`\alpha` that the mean is ever outside.

    Example:
        >>> half_width(0.01, [4, 5, 10, 100], 0.05).round(4).tolist()
        [inf, 0.0378, 0.0122, 0.0033]
    """
    deviation, n = np.broadcast_arrays(
        np.asarray(deviation, np.float64), np.asarray(count, np.float64)
    )
    grown = 1 + n * EFFECT_VARIANCE
    k = (np.sqrt(grown) / error) ** (2 / n)
    finite = k < grown
    bound = np.where(finite, k, 1.0)
    width = deviation * np.sqrt((n - 1) / n * (bound - 1) / (1 - bound / grown))
    return np.where(finite, width, np.inf)


def confidence_sequence(differences: ArrayLike, error: float) -> tuple[Array, Array]:
    r"""Return the ends of the confidence sequence after each difference.

    Each interval is cut to those before it, which the error covers too; so none is wider than the
    one before. Where two have no point in common, which happens with a probability below the error,
    both ends are NaN from there on.

    Args:
        differences: paired differences :math:`x_1, x_2, \ldots` along the last axis.
        error: the probability that the mean is ever outside.

    Returns:
        The lower and the upper ends, of the shape of ``differences``.

    Raises:
        ValueError: the error is not between 0 and 1, or a difference is not finite.

    Example:
        >>> low, high = confidence_sequence([0.02, 0.01, 0.03, 0.02, 0.02, 0.01], 0.05)
        >>> low.round(3).tolist(), high.round(3).tolist()
        ([-inf, -inf, -inf, -inf, -0.007, 0.002], [inf, inf, inf, inf, 0.047, 0.035])
    """
    if not 0 < error < 1:
        raise ValueError(f"error must be between 0 and 1, got {error!r}")
    x = np.asarray(differences, np.float64)
    if not np.isfinite(x).all():
        raise ValueError("differences must be finite")
    count = np.arange(1, x.shape[-1] + 1)
    mean = np.cumsum(x, -1) / count
    # Around the first value, so that large equal values do not cancel.
    shifted = x - x[..., :1]
    squares = np.cumsum(shifted**2, -1) - count * (mean - x[..., :1]) ** 2
    deviation = np.sqrt(np.maximum(squares, 0) / np.maximum(count - 1, 1))
    width = half_width(deviation, count, error)
    low = np.maximum.accumulate(mean - width, -1)
    high = np.minimum.accumulate(mean + width, -1)
    empty = low > high
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high)


def fewest_seeds(error: float) -> int:
    """Return the number of differences from which on intervals are finite.

    Example:
        >>> fewest_seeds(0.05), fewest_seeds(0.05 / 8)
        (5, 7)
    """
    counts = np.arange(2, 10_000)
    return int(counts[np.isfinite(half_width(1.0, counts, error))][0])
