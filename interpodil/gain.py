"""How loud the expansion makes a layer, which its initialisation makes up for."""

import math
from collections.abc import Sequence

from torch import Tensor

from interpodil.expansion import count_axes, expansion_tensor


def expansion_gain(
    kernel_size: int | Sequence[int] = 3,
    dilation: int | Sequence[int] = 2,
    fade: float | Sequence[float] | None = None,
    growth: int | Sequence[int | None] | None = None,
    edge: float = 0.5,
    corner: float = 0.25,
    *,
    tent: str | Tensor | None = None,
    dims: int = 2,
) -> float:
    r"""Return how much louder the expansion makes a layer's output for white input.

    .. math::
        \text{gain} = \sqrt{\frac{1}{k_0 k_1} \sum_{j, u, v} E_{juv}^2}

    the ratio of the output's standard deviation to that of a plain convolution with the same
    independent base weights; :math:`E` is from :func:`interpodil.expansion_tensor`, and where
    every channel has its own tent the sum is the mean over the channels. With linear
    interpolation, 3 taps and a dilation of 2 it is 1.5 for the 7x7 and 4/3 for the 5x5 effective
    kernel.

    Args:
        kernel_size: taps per axis, an int or one per axis.
        dilation: pixels between neighbouring taps.
        fade: pixels beyond the outermost taps over which the kernel falls to zero, ``None`` for
            ``dilation - 1``.
        growth: size the effective kernel is cropped to, or ``None`` to keep all of it.
        edge: the tent's coefficient half-way to the next tap along one axis.
        corner: the tent's coefficient half-way along two axes.
        tent: a profile's name or a tensor, instead of the coefficients.
        dims: number of axes, where ``kernel_size`` is an int.

    Raises:
        ValueError: if an argument breaks a rule above.

    Example::

        >>> expansion_gain(3, dilation=2)
        1.5
    """
    placed = expansion_tensor(
        kernel_size,
        dilation,
        fade,
        growth,
        edge,
        corner,
        tent=tent,
        dims=dims,
    )
    return gain_of(placed, count_axes(kernel_size, dims))


def gain_of(expansion: Tensor, dims: int) -> float:
    """The gain of an expansion of shape (taps, \\*S) or (channels, taps, \\*S)."""
    taps = expansion.shape[:-dims].numel()
    return math.sqrt(expansion.detach().double().square().sum().item() / taps)
