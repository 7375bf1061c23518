r"""Filter with the tent, then convolve with the base kernel.

Where every tap has the same tent :math:`T`, the effective kernel is :math:`T \star w_{\uparrow d}`,
the base kernel spread by the dilation and smeared by the tent, and with :math:`g = \gcd(s, d)`

.. math::
    x \star_s (T \star w_{\uparrow d}) = (x \star_g T) \star_{s / g} w_{\uparrow d / g},

with :math:`\star_s` a convolution of stride :math:`s`: only every :math:`g`-th pixel of the
filtered input is ever read. A channel pair costs as many multiply-adds as the plain convolution;
with an even stride and a dilation of 2 the second step has no dilation left. The order "smooth,
then dilate" is that of Wang & Ji 2018, "Smoothed Dilated Convolutions for Improved Dense
Prediction".

Padding comes first, then both steps without any: the filtered input is not zero just outside the
border.

At stride 1 the two steps may change places. The filter then has the output's channels to go over
instead of the input's, and the convolution a border of :math:`d - 1` pixels more.
"""

import math

from torch import Tensor

from interpodil.algorithms.commuted import Commuted
from interpodil.algorithms.filter_last import filter_last, filters_last
from interpodil.filters import Filters
from interpodil.layout import FEW_CHANNELS, laid_out_like, relayout, to_channels_last
from interpodil.settings import Convolution, convolve, pad_ahead, split_padding
from interpodil.tent_filter import tent_filter


def tent_first(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    convolution: Convolution,
    filters: Filters,
    *,
    separate: bool = False,
) -> Tensor:
    """Filter a batch with the tent, at once or axis by axis, then convolve with the base kernel."""
    spread = convolution.spread
    padded, padding = pad_ahead(input, convolution.sides, convolution.padding_mode)
    tents = filters.lines() if separate else [filters.tent]
    relay = relayout(padded, weight)
    if Commuted.applies(padded, weight, convolution, filters, padding):
        return Commuted.run(padded, weight, bias, convolution, filters, tents, padding, relay)
    if filters_last(padded, weight, convolution, filters):
        return filter_last(
            padded, weight, bias, tents, spread.dilation, convolution.groups, padding, relay
        )
    steps = tuple(math.gcd(s, d) for s, d in zip(convolution.stride, spread.dilation, strict=True))
    outer, inner = split_padding(padding, spread.dilation, steps)
    if relay:
        padded = to_channels_last(padded)
    filtered = laid_out_like(tent_filter(padded, tents, steps, outer), padded)
    if relay and padded.shape[1] < FEW_CHANNELS:
        filtered, relay = filtered.contiguous(), False
    output = convolve(
        filtered,
        weight,
        bias,
        tuple(s // g for s, g in zip(convolution.stride, steps, strict=True)),
        inner,
        tuple(d // g for d, g in zip(spread.dilation, steps, strict=True)),
        convolution.groups,
    )
    return output.contiguous() if relay else output
