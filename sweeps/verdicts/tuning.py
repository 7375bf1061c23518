"""What tuning brings: the best value to be expected of so many trials."""

from collections.abc import Sequence

import numpy as np


def expected_best(values: Sequence[float]) -> list[float]:
    """Return the mean of the largest of n values drawn with replacement, n from 1 to their number.

    Dodge et al., "Show Your Work: Improved Reporting of Experimental Results" (2019,
    https://arxiv.org/abs/1909.03004), equation 7.

    Example:
        >>> expected_best([0.0, 1.0])
        [0.5, 0.75]
    """
    ordered, count = np.sort(values), len(values)
    below = np.arange(count + 1) / count
    return [float(ordered @ np.diff(below**n)) for n in range(1, count + 1)]
