"""The settings of a convolution, their checks, and the padding they come down to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from interpodil.spread import Spread, ints

Sides = tuple[tuple[int, int], ...]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_AXES = {1: "length", 2: "height, width", 3: "depth, height, width"}


@dataclass(frozen=True)
class Convolution:
    """What is convolved how, but for the numbers in the tensors.

    Attributes:
        stride: stride per axis.
        padding: padding of the plain convolution per axis, or ``"same"``, ``"valid"``.
        groups: blocks of channels that are convolved apart.
        padding_mode: what lies beyond the border.
        spread: the taps' spread.
    """

    stride: tuple[int, ...]
    padding: str | tuple[int, ...]
    groups: int
    padding_mode: PaddingMode
    spread: Spread

    @property
    def sides(self) -> Sides:
        """Pixels padded (before, after) on each axis for the effective kernel."""
        return padding_sides(self.padding, self.spread.kernel_size, self.spread.effective_size)


def convolve(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: tuple[int, ...] | int = 1,
    padding: tuple[int, ...] | int = 0,
    dilation: tuple[int, ...] | int = 1,
    groups: int = 1,
) -> Tensor:
    """PyTorch's convolution for as many axes as the weight has."""
    dims = weight.dim() - 2
    if dims == 3 and input.device.type == "cpu" and input.dtype != torch.float64:
        pads = (padding,) * dims if isinstance(padding, int) else padding
        steps = (stride,) * dims if isinstance(stride, int) else stride
        # Given both, oneDNN's weight gradients are wrong where a kernel is nearly as deep as the
        # input, or the process crashes (seen with torch 2.15).
        if any(pads) and any(s != 1 for s in steps):
            input, padding = F.pad(input, [p for pad in reversed(pads) for p in (pad, pad)]), 0
    return _CONV[dims](input, weight, bias, stride, padding, dilation, groups)


def check_stride_and_padding(
    stride: int | Sequence[int],
    padding: str | int | Sequence[int],
    padding_mode: PaddingMode,
    dims: int,
) -> tuple[tuple[int, ...], str | tuple[int, ...]]:
    """Return stride and padding per axis.

    Raises:
        ValueError: if the stride is below 1, the padding is negative or an unknown string,
            ``"same"`` comes with a stride other than 1, or the padding mode is unknown.
    """
    strides = ints(stride, "stride", dims, minimum=1)
    modes = get_args(PaddingMode)
    if padding_mode not in modes:
        raise ValueError(f"padding_mode must be one of {', '.join(modes)}, got {padding_mode!r}")
    if not isinstance(padding, str):
        return strides, ints(padding, "padding", dims, minimum=0)
    if padding not in ("same", "valid"):
        raise ValueError(f"padding must be ints, 'same' or 'valid', got {padding!r}")
    if padding == "same" and any(s != 1 for s in strides):
        raise ValueError(f"padding='same' needs stride 1, got stride {stride!r}")
    return strides, padding


def check_groups(groups: int, in_channels: int, out_channels: int) -> None:
    """Raise a :class:`ValueError` if channels do not fall into as many groups."""
    (count,) = ints(groups, "groups", 1, minimum=1)
    if in_channels % count or out_channels % count:
        raise ValueError(
            f"groups must divide the channels, got {groups!r} for {in_channels} in and "
            f"{out_channels} out"
        )


def check_input(input: Tensor, weight: Tensor, convolution: Convolution) -> None:
    """Raise a :class:`ValueError` if input and weight do not fit together."""
    dims = convolution.spread.dims
    axes = _AXES[dims]
    if input.dim() not in (dims + 1, dims + 2):
        raise ValueError(
            f"input must be (batch, channels, {axes}) or (channels, {axes}), "
            f"got {tuple(input.shape)}"
        )
    channels = weight.shape[1] * convolution.groups
    if input.shape[-1 - dims] != channels:
        raise ValueError(
            f"input must have {channels} channels, got {input.shape[-1 - dims]} in "
            f"{tuple(input.shape)}"
        )
    if convolution.padding == "same":
        return
    for axis, k in enumerate(convolution.spread.kernel_size):
        padding = convolution.padding
        plain = 0 if isinstance(padding, str) else padding[axis]
        size = input.shape[axis - dims]
        if size + 2 * plain < k:
            raise ValueError(
                f"input must span the {k} taps of each axis, got {size} pixels "
                f"and a padding of {plain} in {tuple(input.shape)}"
            )


def padding_sides(
    padding: str | Sequence[int],
    kernel_size: Sequence[int],
    effective_size: Sequence[int],
) -> Sides:
    r"""Return (before, after) in pixels for an effective kernel, for every axis.

    .. math::
        \text{before} = p + \lfloor (S - k) / 2 \rfloor, \quad
        \text{after} = p + \lceil (S - k) / 2 \rceil

    An odd surplus :math:`S - k` puts its extra pixel at the end. ``"valid"`` is :math:`p = 0`.
    ``"same"`` is what :func:`torch.nn.functional.conv2d` pads for a kernel of the effective
    size: :math:`S - 1` pixels, the extra one at the end too.

    Args:
        padding: padding :math:`p` of the plain convolution, per axis, or ``"same"``, ``"valid"``.
        kernel_size: base kernel size :math:`k` per axis.
        effective_size: effective kernel size :math:`S` per axis.
    """
    return tuple(
        _axis_sides(padding if isinstance(padding, str) else padding[axis], k, size)
        for axis, (k, size) in enumerate(zip(kernel_size, effective_size, strict=True))
    )


def pad_ahead(input: Tensor, sides: Sides, padding_mode: str) -> tuple[Tensor, tuple[int, ...]]:
    """Pad what a convolution cannot pad itself; return the input and what is left to pad.

    Convolutions pad zeros without a copy of the input, but as many before as after.

    Raises:
        ValueError: if the input has too few pixels to reflect or to wrap.
    """
    if padding_mode == "zeros":
        both = tuple(min(side) for side in sides)
        extra = tuple((b - s, a - s) for (b, a), s in zip(sides, both, strict=True))
        if any(pixels for side in extra for pixels in side):
            input = F.pad(input, [pixels for side in reversed(extra) for pixels in side])
        return input, both
    _check_reach(input, padding_mode, sides)
    amounts = [pixels for side in reversed(sides) for pixels in side]
    return F.pad(input, amounts, mode=padding_mode), (0,) * len(sides)


def split_padding(
    padding: Sequence[int], dilation: Sequence[int], steps: Sequence[int] | None = None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Split zero padding between the tent filter and the base convolution.

    More than ``2 * (dilation - 1)`` pixels outside the border the tent sees nothing but zeros, so
    what it would answer there may as well be padded afterwards. Where the tent takes larger steps
    the two ends do not line up alike, and all of the padding comes first.

    Args:
        padding: zeros on both sides per axis.
        dilation: pixels between neighbouring taps, per axis.
        steps: stride of the tent filter per axis, 1 if left out.
    """
    inner = tuple(
        max(0, p - 2 * (d - 1)) if steps is None or steps[axis] == 1 else 0
        for axis, (p, d) in enumerate(zip(padding, dilation, strict=True))
    )
    return tuple(p - i for p, i in zip(padding, inner, strict=True)), inner


def _axis_sides(padding: str | int, kernel_size: int, effective_size: int) -> tuple[int, int]:
    if padding == "same":
        total, before = effective_size - 1, (effective_size - 1) // 2
    else:
        plain = padding if isinstance(padding, int) else 0
        surplus = effective_size - kernel_size
        total, before = 2 * plain + surplus, plain + surplus // 2
    return before, total - before


def _check_reach(input: Tensor, padding_mode: str, sides: Sides) -> None:
    """Refuse padding that needs more pixels than the input has to reflect or to wrap."""
    missing = {"reflect": 1, "circular": 0}.get(padding_mode)
    if missing is None:
        return
    for size, side in zip(input.shape[-len(sides) :], sides, strict=True):
        if size < max(side) + missing:
            raise ValueError(
                f"padding_mode={padding_mode!r} needs an axis of {max(side) + missing} pixels to "
                f"pad {max(side)}, got {size} in {tuple(input.shape)}"
            )
