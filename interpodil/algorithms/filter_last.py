"""The two steps of tent first in the other order, for stride 1 and few output channels."""

from collections.abc import Sequence

from torch import Tensor

from interpodil.filters import Filters
from interpodil.layout import laid_out_like, to_channels_last
from interpodil.settings import Convolution, convolve
from interpodil.tent_filter import tent_filter

# Fewer channels to filter make up for the wider border from so many input channels for an output
# channel on (docs/layer.md).
INPUTS_PER_OUTPUT = 2


def filters_last(input: Tensor, weight: Tensor, convolution: Convolution, filters: Filters) -> bool:
    """Whether the tent, which all channels must share, is better applied to the output."""
    return (
        not filters.per_channel
        and all(s == 1 for s in convolution.stride)
        and INPUTS_PER_OUTPUT * weight.shape[0] <= input.shape[1]
    )


def filter_last(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    tents: Sequence[Tensor],
    dilation: tuple[int, ...],
    groups: int,
    padding: tuple[int, ...],
    relay: bool,
) -> Tensor:
    """Convolve a batch with the base kernel, then filter with the tent.

    Args:
        input: the batch.
        weight: base weights.
        bias: optional bias.
        tents: the tent as :func:`interpodil.tent_filter.tent_filter` takes it.
        dilation: pixels between neighbouring taps.
        groups: blocks of channels that are convolved apart.
        padding: zeros on both sides per axis.
        relay: whether to lay the channels innermost for it, and the output back.
    """
    if relay:
        input = to_channels_last(input)
    convolved = convolve(input, weight, None, 1, padding, dilation, groups)
    convolved = laid_out_like(convolved, input)
    none, once = (0,) * len(padding), (1,) * len(padding)
    output = tent_filter(convolved, tents, once, none, bias)
    return output.contiguous() if relay else laid_out_like(output, convolved)
