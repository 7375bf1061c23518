"""The settings of a convolution, their checks, and the padding they come down to."""

import math
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
class TwoSteps:
    """Strides, zero padding and dilation of a tent filter and of the convolution after it."""

    filter_stride: tuple[int, ...]
    filter_padding: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]


@dataclass(frozen=True)
class Settings:
    """What is convolved how, but for the numbers in the tensors.

    Attributes:
        stride: stride per axis.
        padding: padding of the plain convolution per axis, or ``"same"``, ``"valid"``.
        groups: blocks of channels that are convolved apart.
        padding_mode: what lies beyond the border.
        spread: the taps' spread.
        fewest: pixels that an input needs at least, per axis.
        sides: pixels padded (before, after) on each axis for the effective kernel.
        ahead: what of them no convolution pads itself, as :func:`torch.nn.functional.pad` takes
            it; empty if there is nothing.
        zeros: zeros on both sides per axis, which convolutions pad without a copy of the input.
        dense: whether the stride is 1 on every axis.
        two_steps: the tent filter and the base convolution, where every tap has the same tent.
    """

    stride: tuple[int, ...]
    padding: str | tuple[int, ...]
    groups: int
    padding_mode: PaddingMode
    spread: Spread
    fewest: tuple[int, ...]
    sides: Sides
    ahead: tuple[int, ...]
    zeros: tuple[int, ...]
    dense: bool
    two_steps: TwoSteps | None


def make_settings(
    stride: tuple[int, ...],
    padding: str | tuple[int, ...],
    groups: int,
    padding_mode: PaddingMode,
    spread: Spread,
) -> Settings:
    """Work out what follows from the settings of a convolution, which are known to be right."""
    plain = (0,) * spread.dims if isinstance(padding, str) else padding
    fewest = tuple(k - 2 * p for k, p in zip(spread.kernel_size, plain, strict=True))
    if padding == "same":
        fewest = plain
    sides = padding_sides(padding, spread.kernel_size, spread.effective_size)
    # A convolution pads as many zeros before as after.
    zeros = tuple(min(side) if padding_mode == "zeros" else 0 for side in sides)
    rest = [(b - z, a - z) for (b, a), z in zip(sides, zeros, strict=True)]
    # F.pad takes the last axis first.
    ahead = tuple(pixels for side in reversed(rest) for pixels in side)
    return Settings(
        stride,
        padding,
        groups,
        padding_mode,
        spread,
        fewest,
        sides,
        ahead if any(ahead) else (),
        zeros,
        dense=all(s == 1 for s in stride),
        two_steps=_two_steps(stride, zeros, spread) if spread.uniform else None,
    )


def _two_steps(stride: tuple[int, ...], padding: tuple[int, ...], spread: Spread) -> TwoSteps:
    common = tuple(math.gcd(s, d) for s, d in zip(stride, spread.dilation, strict=True))
    outer, inner = split_padding(padding, spread.dilation, common)
    return TwoSteps(
        common,
        outer,
        tuple(s // c for s, c in zip(stride, common, strict=True)),
        inner,
        tuple(d // c for d, c in zip(spread.dilation, common, strict=True)),
    )


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


def check_input(input: Tensor, weight: Tensor, settings: Settings) -> None:
    """Raise a :class:`ValueError` if input and weight do not fit together."""
    dims = settings.spread.dims
    if input.dim() not in (dims + 1, dims + 2):
        axes = _AXES[dims]
        raise ValueError(
            f"input must be (batch, channels, {axes}) or (channels, {axes}), "
            f"got {tuple(input.shape)}"
        )
    shape = input.shape
    channels = weight.shape[1] * settings.groups
    if shape[-1 - dims] != channels:
        raise ValueError(
            f"input must have {channels} channels, got {shape[-1 - dims]} in {tuple(shape)}"
        )
    for axis, fewest in enumerate(settings.fewest):
        size = shape[axis - dims]
        if size < fewest:
            padding = settings.padding
            raise ValueError(
                f"input must span the {settings.spread.kernel_size[axis]} taps of each axis, got "
                f"{size} pixels and a padding of "
                f"{0 if isinstance(padding, str) else padding[axis]} in {tuple(shape)}"
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


def pad_ahead(input: Tensor, settings: Settings) -> Tensor:
    """Pad what a convolution cannot pad itself.

    Raises:
        ValueError: if the input has too few pixels to reflect or to wrap.
    """
    if settings.padding_mode == "zeros":
        return F.pad(input, settings.ahead) if settings.ahead else input
    _check_reach(input, settings.padding_mode, settings.sides)
    if not settings.ahead:
        return input
    return F.pad(input, settings.ahead, mode=settings.padding_mode)


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
