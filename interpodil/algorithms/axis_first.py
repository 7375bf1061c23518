r"""Filter along the first axis with every tap's own line, then convolve once.

For a separable tent the expansion is the product of one matrix per axis,
:math:`E_{(ij)uv} = A_{iu} B_{jv}`, so

.. math::
    \sum_{ij} w_{ij} \sum_{uv} A_{iu} B_{jv} \, x_{uv}
    = \sum_i \sum_v \Bigl(\sum_j w_{ij} B_{jv}\Bigr) \Bigl(\sum_u A_{iu} x_{uv}\Bigr):

:math:`k_0` filtered inputs, convolved with :math:`1 \times S_1` kernels. That is
:math:`k_0 S_1` multiply-adds per channel pair instead of :math:`S_0 S_1`, whatever the fade and the
growth, at the price of :math:`k_0` filtered copies of the input.
"""

import torch
from torch import Tensor

from interpodil.expansion import expand
from interpodil.filters import Filters
from interpodil.layout import FEW_CHANNELS, laid_out_like, relayed, relayout
from interpodil.settings import Settings, convolve, pad_ahead


def axis_first(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    settings: Settings,
    filters: Filters,
) -> Tensor:
    """Filter a batch along its first spatial axis, then convolve along the others."""
    first, others = filters.first_axis(weight)
    padded = pad_ahead(input, settings)
    channels = padded.shape[1]
    flat = (1,) * (settings.spread.dims - 1)
    still = (0,) * len(flat)
    (stride, *strides), (pads, *paddings) = settings.stride, settings.zeros
    bank, groups = _bank(first, channels, len(flat))

    def filtered(input: Tensor) -> Tensor:
        return convolve(input, bank, None, (stride, *flat), (pads, *still), groups=groups)

    def convolved(filtered: Tensor) -> Tensor:
        rows = weight.flatten(1, 2)[:, :, None]
        kernel = laid_out_like(expand(rows, others[:, None]), weight)
        return convolve(
            filtered, kernel, bias, (1, *strides), (0, *paddings), groups=settings.groups
        )

    return relayed(
        padded,
        relayout(padded, weight),
        filtered,
        convolved,
        back_between=channels < FEW_CHANNELS,
    )


def _bank(first: Tensor, channels: int, others: int) -> tuple[Tensor, int]:
    """Kernels that answer every channel with one line per tap, and their groups."""
    taps = first.shape[0]
    lines = first.reshape(taps, 1, -1, *(1,) * others)
    if channels >= FEW_CHANNELS:
        return lines.repeat(channels, *(1,) * (others + 2)), channels
    # For a few channels a dense kernel full of zeros is faster than a depthwise one.
    same = torch.eye(channels, dtype=first.dtype, device=first.device)
    same = same.reshape(channels, 1, channels, *(1,) * (others + 1))
    return (same * lines).flatten(0, 1), 1
