r"""The algorithms of the interpodilated convolution; all agree to rounding.

*Expanded*: one convolution with the effective kernel, for every setting.

*Tent first*: where every tap has the same tent :math:`T`, the effective kernel is
:math:`T \star w_{\uparrow d}`, the base kernel spread by the dilation and smeared by the tent, and
with :math:`g = \gcd(s, d)`

.. math::
    x \star_s (T \star w_{\uparrow d}) = (x \star_g T) \star_{s / g} w_{\uparrow d / g},

with :math:`\star_s` a convolution of stride :math:`s`: only every :math:`g`-th pixel of the
filtered input is read. A channel pair costs as many multiply-adds as in the plain convolution;
with an even stride and a dilation of 2 the second step has no dilation left. The order "smooth,
then dilate" is that of Wang & Ji 2018, "Smoothed Dilated Convolutions for Improved Dense
Prediction". Padding comes first, then both steps without any: the filtered input is not zero just
outside the border. At stride 1 the steps may change places: the filter then has the output's
channels to go over, and the convolution a border of :math:`d - 1` pixels more.

*Axis first*: for a separable tent the expansion is the product of one matrix per axis,
:math:`E_{(ij)uv} = A_{iu} B_{jv}`, so

.. math::
    \sum_{ij} w_{ij} \sum_{uv} A_{iu} B_{jv} \, x_{uv}
    = \sum_i \sum_v \Bigl(\sum_j w_{ij} B_{jv}\Bigr) \Bigl(\sum_u A_{iu} x_{uv}\Bigr):

:math:`k_0` filtered inputs, convolved with :math:`1 \times S_1` kernels. That is
:math:`k_0 S_1` multiply-adds per channel pair instead of :math:`S_0 S_1`, for any fade and growth,
at the cost of :math:`k_0` filtered copies of the input.
"""

import torch
from torch import Tensor

from interpodil.dilated_gradient import convolve_dilated
from interpodil.expansion import expand
from interpodil.filtered_gradient import Steps, filter_last
from interpodil.filters import Filters
from interpodil.plan import Algorithm, Plan, TwoSteps
from interpodil.tent_filter import (
    convolve,
    is_channels_last,
    laid_out_like,
    shifted_sums,
    tent_filter,
    to_channels_last,
)

# The measurements behind these are in docs/layer.md.
# With fewer channels a layer reads images rather than features.
FEW_CHANNELS = 8
# From this dilation on, one pass per axis is as fast as one with the whole tent, and computes less.
SEPARATE_FROM_DILATION = 4
# `axis_first` pays where it has at most this part of the expanded kernel's multiply-adds. Its
# filtered copies of the input count less where the channels are few and innermost, and in volumes.
AXIS_FIRST_BELOW = 0.45
AXIS_FIRST_BELOW_IF_CHEAP = 0.6
# From so many input channels per output channel on, the tent is applied to the output.
INPUTS_PER_OUTPUT = 2
# Up to this size PyTorch convolves a single image without oneDNN, whose calls cost more than the
# arithmetic; depthwise convolutions it always gives to oneDNN.
TINY = 20480
# Below so many channels, shifted sums filter faster than depthwise convolutions; but not where
# they step over pixels whose channels are innermost. In 3-D they pay for all, at stride 1.
SHIFTED_BELOW = 8
# Multiples of so many channels oneDNN filters as fast in blocks as innermost ones, with AVX2 too.
CHANNEL_BLOCK = 8


def compute(
    input: Tensor, weight: Tensor, bias: Tensor | None, plan: Plan, filters: Filters
) -> Tensor:
    """Convolve by the plan's algorithm.

    Raises:
        ValueError: if input and weight do not fit together.
    """
    plan.check(input, weight)
    spread = plan.spread
    if input.dim() == spread.dims + 1:
        return compute(input[None], weight, bias, plan, filters)[0]
    padded = plan.pad(input)
    if spread.plain:
        weight = filters.scale(weight)
        return convolve(padded, weight, bias, plan.stride, plan.zeros, groups=plan.groups)
    algorithm = plan.algorithm
    if algorithm == "auto":
        algorithm = _choose(padded, plan, filters)
    elif algorithm in ("separable_tent", "axis_first") and not filters.separable:
        # Another tent has replaced the layer's own.
        algorithm = "tent_first" if spread.uniform else "expanded"
    if algorithm == "expanded":
        kernel = expand(weight, filters.expansion(weight), plan.groups)
        kernel = laid_out_like(kernel, weight)
        return convolve(padded, kernel, bias, plan.stride, plan.zeros, groups=plan.groups)
    if algorithm == "axis_first":
        return _axis_first(padded, weight, bias, plan, filters)
    return _tent_first(padded, weight, bias, plan, filters, separate=algorithm == "separable_tent")


def _choose(padded: Tensor, plan: Plan, filters: Filters) -> Algorithm:
    """Choose the fastest algorithm, from measurements on CPUs."""
    spread, channels = plan.spread, padded.shape[1]
    if spread.uniform:
        far = max(spread.dilation) >= SEPARATE_FROM_DILATION
        return "separable_tent" if far and filters.separable else "tent_first"
    # One axis leaves no other to save on, and grouped convolutions of many channels are slow.
    if not filters.separable or spread.dims == 1 or plan.groups > 1:
        return "expanded"
    images = channels < FEW_CHANNELS and is_channels_last(padded)
    cheap = images or (spread.dims == 3 and plan.dense)
    below = AXIS_FIRST_BELOW_IF_CHEAP if cheap else AXIS_FIRST_BELOW
    cheaper = spread.kernel_size[0] <= below * spread.effective_size[0]
    return "axis_first" if cheaper else "expanded"


def _tent_first(
    padded: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    plan: Plan,
    filters: Filters,
    *,
    separate: bool,
) -> Tensor:
    steps = plan.two_steps
    assert steps is not None
    channels, groups = padded.shape[1], plan.groups
    eager = padded.device.type == "cpu" and not torch.compiler.is_compiling()
    if eager and filters.dense is not None and padded.shape[0] == 1 and padded.numel() <= TINY:
        filtered_channels = weight.shape[0] if plan.dense else channels
        if 0 < filtered_channels <= filters.dense.shape[0]:
            kernel = filters.dense
            if kernel.shape[0] > filtered_channels:
                kernel = kernel[:filtered_channels, :filtered_channels]
            return _tent_first_tiny(padded, weight, bias, plan, kernel)
    if eager and filters.lines is not None and _shift(padded, steps):
        # It is the weight's gradient that is faster so.
        learns = torch.is_grad_enabled() and weight.requires_grad
        relay = learns and max(steps.filter_stride) == 1 and _relayout(padded, weight, dims=3)
        if relay:
            padded = to_channels_last(padded)
        filtered = shifted_sums(padded, filters.lines, steps.filter_stride, steps.filter_padding)
        output = convolve_dilated(filtered, filters.scale(weight), bias, steps, groups)
        return output.contiguous() if relay else output
    tents = filters.axis_lines() if separate else [filters.tent]
    blocks = channels % CHANNEL_BLOCK == 0
    relay = not blocks and _relayout(padded, weight)
    if plan.dense and not filters.per_channel and INPUTS_PER_OUTPUT * weight.shape[0] <= channels:
        return filter_last(padded, weight, bias, Steps(plan, tents, relay), filters.constant)
    if relay:
        padded = to_channels_last(padded)
    filtered = tent_filter(padded, tents, steps.filter_stride, steps.filter_padding)
    filtered = laid_out_like(filtered, padded)
    if relay and channels < FEW_CHANNELS:
        # A few channels are cheaper to lay back than all of the output's.
        filtered, relay = filtered.contiguous(), False
    output = convolve_dilated(filtered, weight, bias, steps, groups)
    return output.contiguous() if relay else output


def _shift(padded: Tensor, steps: TwoSteps) -> bool:
    """Tell whether sums of shifted copies filter faster than a depthwise convolution."""
    if padded.element_size() < 4 or torch.jit.is_tracing():  # type: ignore[attr-defined]
        return False
    dense = max(steps.filter_stride) == 1
    if padded.dim() == 5 and dense:
        return True
    few = padded.shape[1] < SHIFTED_BELOW and not padded.requires_grad
    return few and (dense or not is_channels_last(padded))


def _tent_first_tiny(
    padded: Tensor, weight: Tensor, bias: Tensor | None, plan: Plan, kernel: Tensor
) -> Tensor:
    """Convolve a single small image, with the tent as a dense kernel."""
    steps = plan.two_steps
    assert steps is not None
    if plan.dense:
        once = convolve(padded, weight, None, 1, plan.zeros, plan.spread.dilation, plan.groups)
        return convolve(once, kernel, bias)
    filtered = convolve(padded, kernel, None, steps.filter_stride, steps.filter_padding)
    return convolve(
        filtered, weight, bias, steps.stride, steps.padding, steps.dilation, plan.groups
    )


def _axis_first(
    padded: Tensor, weight: Tensor, bias: Tensor | None, plan: Plan, filters: Filters
) -> Tensor:
    first, others = filters.first_axis(weight)
    channels = padded.shape[1]
    flat, still = (1,) * (plan.spread.dims - 1), (0,) * (plan.spread.dims - 1)
    (stride, *strides), (pads, *paddings) = plan.stride, plan.zeros
    relay = channels >= FEW_CHANNELS and _relayout(padded, weight)
    if relay:
        padded = to_channels_last(padded)
    bank, groups = _bank(first, channels, len(flat))
    filtered = convolve(padded, bank, None, (stride, *flat), (pads, *still), groups=groups)
    rows = weight.flatten(1, 2)[:, :, None]
    kernel = laid_out_like(expand(rows, others[:, None]), weight)
    output = convolve(
        laid_out_like(filtered, padded),
        kernel,
        bias,
        (1, *strides),
        (0, *paddings),
        groups=plan.groups,
    )
    return output.contiguous() if relay else output


def _bank(first: Tensor, channels: int, others: int) -> tuple[Tensor, int]:
    """Return kernels that filter every channel with each tap's line, and their groups."""
    taps = first.shape[0]
    lines = first.reshape(taps, 1, -1, *(1,) * others)
    if channels >= FEW_CHANNELS:
        return lines.repeat(channels, *(1,) * (others + 2)), channels
    # For a few channels a dense kernel full of zeros is faster than a depthwise one.
    same = torch.eye(channels, dtype=first.dtype, device=first.device)
    same = same.reshape(channels, 1, channels, *(1,) * (others + 1))
    return (same * lines).flatten(0, 1), 1


def _relayout(input: Tensor, weight: Tensor, dims: int = 2) -> bool:
    """Tell whether to compute with the channels innermost although the caller did not.

    On CPUs the depthwise filter of images runs several times as fast so, and the convolution of
    volumes in training up to twice, which pays for both copies. Compilers choose layouts
    themselves.
    """
    return (
        input.device.type == "cpu"
        and input.dim() == dims + 2
        and input.shape[1] > 1
        and not torch.compiler.is_compiling()
        and not is_channels_last(input)
        and not is_channels_last(weight)
    )
