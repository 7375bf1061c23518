"""The tent as a depthwise filter."""

from collections.abc import Sequence

from torch import Tensor

from interpodil.settings import convolve


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
    return tensor.to(device=other.device, dtype=other.dtype)
