"""Which algorithm computes an interpodilated convolution."""

from typing import Literal, get_args

from torch import Tensor

from interpodil.convolution import Convolution
from interpodil.filters import Filters
from interpodil.spread import Spread

Algorithm = Literal["auto", "expanded", "tent_first", "separable_tent", "axis_first"]

# The measurements behind these are in docs/speed.md.
# From this dilation on, one pass per axis beats one pass with the whole tent.
SEPARATE_FROM_DILATION = 4
# Multiply-adds of `axis_first`, as a part of those of `expanded`, from which on it pays.
AXIS_FIRST_BELOW = 0.6


def choose(convolution: Convolution, filters: Filters, input: Tensor, weight: Tensor) -> Algorithm:
    """Choose the fastest algorithm for what is to be convolved, from measurements."""
    spread = convolution.spread
    if spread.uniform:
        far = max(spread.dilation) >= SEPARATE_FROM_DILATION
        return "separable_tent" if far and filters.separable else "tent_first"
    if filters.separable and spread.kernel_size[0] <= (AXIS_FIRST_BELOW * spread.effective_size[0]):
        return "axis_first"
    return "expanded"


def check_algorithm(
    algorithm: Algorithm, spread: Spread, *, separable: bool, learned: bool
) -> None:
    """Raise a :class:`ValueError` if an algorithm cannot compute a layer, saying why.

    Args:
        algorithm: the algorithm's name.
        spread: the taps' spread.
        separable: whether the tent is known to be the product of one line per axis.
        learned: whether the tent is learned.
    """
    names = get_args(Algorithm)
    if algorithm not in names:
        raise ValueError(f"algorithm must be one of {', '.join(names)}, got {algorithm!r}")
    if spread.plain:
        return
    if algorithm in ("tent_first", "separable_tent") and not spread.uniform:
        raise ValueError(
            f"algorithm={algorithm!r} needs the same tent at every tap, that is "
            f"fade = dilation - 1 and no crop, got fade={spread.fade}, dilation={spread.dilation}, "
            f"growth={spread.growth}"
        )
    if algorithm in ("separable_tent", "axis_first") and not separable:
        kind = "a learned tent" if learned else "a tent that is not"
        raise ValueError(
            f"algorithm={algorithm!r} needs a tent that is the product of one line per axis "
            f"(corner = edge**2, or a named profile), got {kind}"
        )
