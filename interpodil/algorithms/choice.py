"""Which algorithm computes an interpodilated convolution, and the computation by it."""

from typing import Literal, get_args

from torch import Tensor

from interpodil.algorithms.axis_first import axis_first
from interpodil.algorithms.tent_first import tent_first
from interpodil.expansion import expand
from interpodil.filters import Filters
from interpodil.layout import FEW_CHANNELS, is_channels_last, laid_out_like
from interpodil.settings import Settings, check_input, convolve, pad_ahead
from interpodil.spread import Spread

Algorithm = Literal["auto", "expanded", "tent_first", "separable_tent", "axis_first"]
# Those that need a tent which is the product of one line per axis.
SEPARABLE: tuple[Algorithm, ...] = ("separable_tent", "axis_first")

# The measurements behind these are in docs/layer.md.
# From this dilation on, one pass per axis is as fast as one with the whole tent, and computes less.
SEPARATE_FROM_DILATION = 4
# The part of the expanded kernel's multiply-adds that `axis_first` may have at most to pay: its
# filtered copies of the input cost time and memory, less where the channels are few and innermost.
AXIS_FIRST_BELOW = 0.45
AXIS_FIRST_BELOW_WITH_FEW_CHANNELS = 0.6


def choose(settings: Settings, filters: Filters, input: Tensor) -> Algorithm:
    """Choose the fastest algorithm for what is to be convolved, from measurements on a CPU."""
    spread = settings.spread
    if spread.dims == 1 and input.shape[1] < FEW_CHANNELS:
        return "expanded"
    if spread.uniform:
        far = max(spread.dilation) >= SEPARATE_FROM_DILATION
        return "separable_tent" if far and filters.separable else "tent_first"
    # On one axis there are no others to save on, and grouped convolutions of so many channels
    # more are slow.
    if not filters.separable or spread.dims == 1 or settings.groups > 1:
        return "expanded"
    few = input.shape[1] < FEW_CHANNELS and is_channels_last(input)
    below = AXIS_FIRST_BELOW_WITH_FEW_CHANNELS if few else AXIS_FIRST_BELOW
    cheaper = spread.kernel_size[0] <= below * spread.effective_size[0]
    return "axis_first" if cheaper else "expanded"


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
    if algorithm in SEPARABLE and not separable:
        kind = "a learned tent" if learned else "a tent that is not, in double precision"
        raise ValueError(
            f"algorithm={algorithm!r} needs a tent that is the product of one line per axis "
            f"(corner = edge**2, or a named profile), got {kind}"
        )


def compute(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    settings: Settings,
    filters: Filters,
    algorithm: Algorithm,
) -> Tensor:
    """Convolve by an algorithm that is known to apply.

    Raises:
        ValueError: if input and weight do not fit together.
    """
    check_input(input, weight, settings)
    if input.dim() == settings.spread.dims + 1:
        return compute(input[None], weight, bias, settings, filters, algorithm)[0]
    if settings.spread.plain:
        return _convolved_once(input, weight, bias, settings)
    # A layer's algorithm may need a product, which a tent put in the place of its own is not.
    if algorithm == "auto" or (algorithm in SEPARABLE and not filters.separable):
        algorithm = choose(settings, filters, input)
    if algorithm == "expanded":
        # Possible for every setting, at as many multiply-adds as the effective kernel has pixels.
        kernel = expand(weight, filters.expansion(weight), settings.groups)
        return _convolved_once(input, laid_out_like(kernel, weight), bias, settings)
    if algorithm == "axis_first":
        return axis_first(input, weight, bias, settings, filters)
    separate = algorithm == "separable_tent"
    return tent_first(input, weight, bias, settings, filters, separate=separate)


def _convolved_once(
    input: Tensor, kernel: Tensor, bias: Tensor | None, settings: Settings
) -> Tensor:
    padded = pad_ahead(input, settings)
    return convolve(padded, kernel, bias, settings.stride, settings.zeros, groups=settings.groups)
