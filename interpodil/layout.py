"""Memory formats: which one a convolution answers in, and which one depthwise filters like."""

from collections.abc import Callable

import torch
from torch import Tensor

# With fewer channels an input is cheaper to lay out anew than a convolution's output.
FEW_CHANNELS = 8


def is_channels_last(tensor: Tensor) -> bool:
    """Whether the channels are a tensor's fastest axis, told from its strides.

    Unlike ``is_contiguous(memory_format=...)`` it may be asked inside :func:`torch.func.vmap`.
    """
    # One pixel is laid out alike both ways; of more, others than the channels come in between.
    return tensor.stride(1) == 1 and tensor.shape[2:].numel() > 1


def laid_out_like(tensor: Tensor, other: Tensor) -> Tensor:
    """A tensor with the channels innermost if another has them so, which convolutions look at."""
    move = is_channels_last(other) and not is_channels_last(tensor)
    return to_channels_last(tensor) if move else tensor


def to_channels_last(tensor: Tensor) -> Tensor:
    """Lay the channels innermost; works inside :func:`torch.func.vmap` too."""
    return tensor.movedim(1, -1).contiguous().movedim(-1, 1)


def relayout(input: Tensor, weight: Tensor) -> bool:
    """Whether to compute with the channels innermost although nobody asked for it.

    On CPUs the depthwise filter runs several times as fast so, which pays for both copies.
    Compilers choose layouts themselves.
    """
    return (
        input.device.type == "cpu"
        and input.dim() == 4
        and input.shape[1] > 1
        and not torch.compiler.is_compiling()
        and not is_channels_last(input)
        and not is_channels_last(weight)
    )


def relayed(
    input: Tensor,
    relay: bool,
    first: Callable[[Tensor], Tensor],
    second: Callable[[Tensor], Tensor],
    *,
    back_between: bool = False,
) -> Tensor:
    """Compute two steps one after the other, both in one layout.

    Args:
        input: the first step's input, whose layout the second's gets too.
        relay: whether to lay the channels innermost for the steps, and what comes out back.
        first: the first step.
        second: the second step.
        back_between: whether to lay back what the first step answers instead of the output.
    """
    if relay:
        input = to_channels_last(input)
    between = laid_out_like(first(input), input)
    if relay and back_between:
        return second(between.contiguous())
    output = second(between)
    return output.contiguous() if relay else output
