"""Initialisation of base weights."""

import math
from collections.abc import Sequence

from interpodil.expansion import expansion_coefficients
from interpodil.pair import pair


def expansion_gain(
    kernel_size: int | Sequence[int] = 3,
    dilation: int | Sequence[int] = 2,
    fade: float = 1.0,
    growth: int | None = None,
    edge: float = 0.5,
    corner: float = 0.25,
) -> float:
    r"""Return how much louder the expansion makes a layer's output for white input.

    .. math::
        \text{gain} = \sqrt{\frac{1}{k_0 k_1} \sum_{j, u, v} E_{juv}^2}

    the ratio of the output's standard deviation to that of a plain convolution with the same
    independent base weights; :math:`E` is from :func:`interpodil.expansion_coefficients`. With
    linear interpolation, 3 taps and a dilation of 2 it is 1.5 for the 7x7 and 4/3 for the 5x5
    effective kernel.

    Args:
        kernel_size: taps per axis, an int or a pair.
        dilation: pixels between neighbouring taps, an int or a pair.
        fade: pixels beyond the outermost taps over which the kernel falls to zero.
        growth: size the effective kernel is cropped to, or ``None`` to keep all of it.
        edge: the tent's coefficient half-way to the next tap along one axis.
        corner: the tent's coefficient half-way along both axes.

    Raises:
        ValueError: if an argument breaks a rule above.

    Example::

        >>> expansion_gain(3, dilation=2, fade=1.0)
        1.5
    """
    taps = expansion_coefficients(
        pair(kernel_size, "kernel_size", minimum=1),
        pair(dilation, "dilation", minimum=1),
        fade,
        growth,
        edge,
        corner,
    )
    energy = math.fsum(value * value for tap in taps for row in tap for value in row)
    return math.sqrt(energy / len(taps))
