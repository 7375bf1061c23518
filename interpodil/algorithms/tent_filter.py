"""The tent as a depthwise filter, before the base convolution or after it."""

from collections.abc import Sequence

from torch import Tensor

from interpodil.filters import Filters
from interpodil.layout import FEW_CHANNELS, laid_out_like, relayed
from interpodil.settings import Settings, convolve

# Fewer channels to filter make up for the wider border from so many input channels for an output
# channel on (docs/layer.md).
INPUTS_PER_OUTPUT = 2


def filters_last(input: Tensor, weight: Tensor, settings: Settings, filters: Filters) -> bool:
    """Whether the tent, which all channels must share, is better applied to the output."""
    return (
        settings.dense
        and not filters.per_channel
        and INPUTS_PER_OUTPUT * weight.shape[0] <= input.shape[1]
    )


def filter_first(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    tents: Sequence[Tensor],
    settings: Settings,
    relay: bool,
) -> Tensor:
    """Filter a batch with the tent, then convolve with the base kernel.

    Args:
        input: the batch, padded but for the zeros of ``settings``.
        weight: base weights.
        bias: optional bias.
        tents: the tent as :func:`tent_filter` takes it.
        settings: those of the whole convolution.
        relay: whether to lay the channels innermost for it, and the output back.
    """
    steps = settings.two_steps
    assert steps is not None
    return relayed(
        input,
        relay,
        lambda input: tent_filter(input, tents, steps.filter_stride, steps.filter_padding),
        lambda filtered: convolve(
            filtered, weight, bias, steps.stride, steps.padding, steps.dilation, settings.groups
        ),
        back_between=input.shape[1] < FEW_CHANNELS,
    )


def filter_last(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    tents: Sequence[Tensor],
    settings: Settings,
    relay: bool,
) -> Tensor:
    """Convolve a batch with the base kernel, then filter with the tent; at stride 1 alone.

    It takes what :func:`filter_first` takes.
    """
    dilation = settings.spread.dilation
    none, once = (0,) * len(dilation), (1,) * len(dilation)

    def convolved(input: Tensor) -> Tensor:
        return convolve(input, weight, None, 1, settings.zeros, dilation, settings.groups)

    def filtered(convolved: Tensor) -> Tensor:
        output = tent_filter(convolved, tents, once, none, bias)
        return output if relay else laid_out_like(output, convolved)

    return relayed(input, relay, convolved, filtered)


def tent_filter(
    input: Tensor,
    tents: Sequence[Tensor],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    bias: Tensor | None = None,
) -> Tensor:
    r"""Filter every channel of a batch with a tent.

    Args:
        input: batch of any number of channels.
        tents: the tent, shared or one per channel, as the only element; or the lines that it is
            the product of, one per axis, which are then applied one after the other.
        stride: stride per axis.
        padding: zeros padded on both sides per axis.
        bias: what to add to every channel, of shape :math:`(C)`.

    Shape:
        - input: :math:`(N, C, H, W)`
        - tents: :math:`(2 d_0 - 1, 2 d_1 - 1)` or :math:`(C, 2 d_0 - 1, 2 d_1 - 1)`, or a line
          :math:`(2 d_i - 1)` per axis
    """
    channels = input.shape[1]
    dims = len(stride)
    if len(tents) == 1:
        (tent,) = tents
        kernel = tent[:, None] if tent.dim() > dims else tent.expand(channels, 1, *tent.shape)
        return convolve(input, _like(kernel, input), bias, stride, padding, 1, channels)
    for axis, line in enumerate(tents):
        shape = [1] * dims
        shape[axis] = -1
        kernel = _like(line, input).reshape(shape)
        steps = tuple(s if other == axis else 1 for other, s in enumerate(stride))
        pads = tuple(p if other == axis else 0 for other, p in enumerate(padding))
        kernel = kernel.expand(channels, 1, *kernel.shape)
        last = bias if axis == dims - 1 else None
        input = convolve(input, kernel, last, steps, pads, 1, channels)
    return input


def _like(tensor: Tensor, other: Tensor) -> Tensor:
    if tensor.dtype == other.dtype and tensor.device == other.device:
        return tensor
    return tensor.to(device=other.device, dtype=other.dtype)
