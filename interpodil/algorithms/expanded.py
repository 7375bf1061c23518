"""Expand the base weights, then convolve once: possible for every setting."""

from torch import Tensor

from interpodil.expansion import expand
from interpodil.filters import Filters
from interpodil.layout import laid_out_like
from interpodil.settings import Convolution, convolve, pad_ahead


def expanded(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    convolution: Convolution,
    filters: Filters,
) -> Tensor:
    r"""Convolve with the effective kernel, at :math:`S_0 S_1` multiply-adds per channel pair."""
    kernel = laid_out_like(expand(weight, filters.expansion(weight), convolution.groups), weight)
    padded, padding = pad_ahead(input, convolution.sides, convolution.padding_mode)
    return convolve(padded, kernel, bias, convolution.stride, padding, groups=convolution.groups)
