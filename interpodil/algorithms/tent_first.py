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

from torch import Tensor

from interpodil.algorithms.commuted import Commuted
from interpodil.algorithms.tent_filter import filter_first, filter_last, filters_last
from interpodil.filters import Filters
from interpodil.layout import relayout
from interpodil.settings import Settings, pad_ahead


def tent_first(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    settings: Settings,
    filters: Filters,
    *,
    separate: bool = False,
) -> Tensor:
    """Filter a batch with the tent, at once or axis by axis, then convolve with the base kernel."""
    padded = pad_ahead(input, settings)
    tents = filters.lines() if separate else [filters.tent]
    relay = relayout(padded, weight)
    last = filters_last(padded, weight, settings, filters)
    if Commuted.applies(padded, weight, settings, filters):
        return Commuted.run(padded, weight, bias, settings, tents, relay, last)
    convolve = filter_last if last else filter_first
    return convolve(padded, weight, bias, tents, settings, relay)
