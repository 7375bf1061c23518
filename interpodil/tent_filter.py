"""The tent as a filter over every channel, and the plain convolutions and layouts around it."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# The numbers of one line per axis.
Lines = tuple[tuple[float, ...], ...]

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def convolve(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: tuple[int, ...] | int = 1,
    padding: tuple[int, ...] | int = 0,
    dilation: tuple[int, ...] | int = 1,
    groups: int = 1,
) -> Tensor:
    """Apply PyTorch's convolution for as many axes as the weight has."""
    dims = weight.dim() - 2
    if dims == 3 and input.device.type == "cpu" and input.dtype != torch.float64:
        pads = (padding,) * dims if isinstance(padding, int) else padding
        steps = (stride,) * dims if isinstance(stride, int) else stride
        # Given both, oneDNN's weight gradients are wrong where a kernel is nearly as deep as the
        # input, or the process crashes (seen with torch 2.15).
        if any(pads) and any(s != 1 for s in steps):
            input, padding = F.pad(input, [p for pad in reversed(pads) for p in (pad, pad)]), 0
    return _CONV[dims](input, weight, bias, stride, padding, dilation, groups)


def convolution_gradients(
    grad_output: Tensor,
    input: Tensor,
    weight: Tensor,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
    wanted: tuple[bool, bool],
) -> tuple[Tensor | None, Tensor | None]:
    """Return a convolution's gradients with respect to input and weight, those that are wanted."""
    grad_input, grad_weight, _ = torch.ops.aten.convolution_backward(
        grad_output,
        input,
        weight,
        None,
        stride,
        padding,
        dilation,
        False,
        [0] * len(stride),
        groups,
        [*wanted, False],
    )
    return grad_input, grad_weight


def tent_filter(
    input: Tensor,
    tents: Sequence[Tensor],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    bias: Tensor | None = None,
) -> Tensor:
    r"""Filter every channel of a batch with a tent, by depthwise convolutions.

    Args:
        input: batch of any number of channels.
        tents: the tent, shared or one per channel, as the only element; or the lines that it is
            the product of, one per axis, which are applied one after the other.
        stride: stride per axis.
        padding: zeros padded on both sides per axis.
        bias: what to add to every channel, of shape :math:`(C)`.

    Shape:
        - input: :math:`(N, C, H, W)`
        - tents: :math:`(2 d_0 - 1, 2 d_1 - 1)` or :math:`(C, 2 d_0 - 1, 2 d_1 - 1)`, or a line
          :math:`(2 d_i - 1)` per axis
    """
    channels, dims = input.shape[1], len(stride)
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


def shifted_sums(
    input: Tensor, lines: Lines, stride: tuple[int, ...], padding: tuple[int, ...]
) -> Tensor:
    """Filter every channel with the product of one line per axis, by sums of shifted copies.

    It takes what :func:`tent_filter` takes, with the lines as numbers whose centers are 1. At
    stride 1 its gradient is computed in the same way.
    """
    if input.requires_grad and max(stride) == 1:
        return ShiftedSums.apply(input, lines, padding)
    return _shifted_sums(input, lines, stride, padding)


class ShiftedSums(torch.autograd.Function):
    """:func:`shifted_sums` at stride 1, whose adjoint has the lines reversed."""

    generate_vmap_rule = True

    @staticmethod
    def forward(input: Tensor, lines: Lines, padding: tuple[int, ...]) -> Tensor:
        return _shifted_sums(input, lines, (1,) * len(lines), padding)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, ctx.lines, ctx.padding = inputs

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None, None]:
        lines = tuple(line[::-1] for line in ctx.lines)
        padding = tuple(len(line) - 1 - pad for line, pad in zip(lines, ctx.padding, strict=True))
        return shifted_sums(grad_output, lines, (1,) * len(lines), padding), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: Any) -> Tensor:
        return shifted_sums(tangent, ctx.lines, (1,) * len(ctx.lines), ctx.padding)


def _shifted_sums(
    input: Tensor, lines: Lines, stride: tuple[int, ...], padding: tuple[int, ...]
) -> Tensor:
    if any(padding):
        input = F.pad(input, [p for pad in reversed(padding) for p in (pad, pad)])
    for axis, (line, step) in enumerate(zip(lines, stride, strict=True), 2):
        size = (input.shape[axis] - len(line)) // step + 1
        shifted = [input.narrow(axis, offset, (size - 1) * step + 1) for offset in range(len(line))]
        if step > 1:
            every = (slice(None),) * axis + (slice(None, None, step),)
            shifted = [part[every] for part in shifted]
        middle = len(line) // 2
        total = torch.add(shifted[middle], shifted[0], alpha=line[0]) if middle else shifted[0]
        for offset in range(1, len(line)):
            if offset != middle:
                total.add_(shifted[offset], alpha=line[offset])
        input = total
    return input


def is_channels_last(tensor: Tensor) -> bool:
    """Tell from a tensor's strides whether the channels are innermost.

    Unlike ``is_contiguous(memory_format=...)`` it may be asked inside :func:`torch.func.vmap`.
    """
    # A single pixel is laid out alike both ways.
    return tensor.stride(1) == 1 and tensor.shape[2:].numel() > 1


def laid_out_like(tensor: Tensor, other: Tensor) -> Tensor:
    """Move a tensor's channels innermost if another has them there."""
    move = is_channels_last(other) and not is_channels_last(tensor)
    return to_channels_last(tensor) if move else tensor


def to_channels_last(tensor: Tensor) -> Tensor:
    """Move the channels innermost; works inside :func:`torch.func.vmap` too."""
    return tensor.movedim(1, -1).contiguous().movedim(-1, 1)


def _like(tensor: Tensor, other: Tensor) -> Tensor:
    if tensor.dtype == other.dtype and tensor.device == other.device:
        return tensor
    return tensor.to(device=other.device, dtype=other.dtype)
