"""A convolution's plan: its padding and strides, checked and computed once per layer."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch.nn.functional as F
from torch import Tensor

from interpodil.spread import Spread, ints

Algorithm = Literal["auto", "expanded", "tent_first", "separable_tent", "axis_first"]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]
Sides = tuple[tuple[int, int], ...]

_AXES = {1: "length", 2: "height, width", 3: "depth, height, width"}


@dataclass(frozen=True)
class TwoSteps:
    """Strides, zero padding and dilation of a tent filter and of the convolution after it."""

    filter_stride: tuple[int, ...]
    filter_padding: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything about a convolution that depends neither on tensors nor on the input's size.

    Attributes:
        stride: stride per axis.
        padding: padding of the plain convolution per axis, or ``"same"``, ``"valid"``.
        groups: number of groups of channels.
        padding_mode: what lies beyond the border.
        spread: where the taps lie.
        algorithm: the algorithm asked for.
        fewest: smallest valid input size per axis.
        sides: pixels padded (before, after) on each axis for the effective kernel.
        ahead: the part of ``sides`` to pad before the convolution, as
            :func:`torch.nn.functional.pad` takes it; empty if there is none.
        zeros: the rest, zeros on both sides per axis that the convolution pads itself.
        dense: whether the stride is 1 on every axis.
        two_steps: the tent filter and the base convolution, where every tap has the same tent.
    """

    stride: tuple[int, ...]
    padding: str | tuple[int, ...]
    groups: int
    padding_mode: PaddingMode
    spread: Spread
    algorithm: Algorithm
    fewest: tuple[int, ...]
    sides: Sides
    ahead: tuple[int, ...]
    zeros: tuple[int, ...]
    dense: bool
    two_steps: TwoSteps | None

    def check(self, input: Tensor, weight: Tensor) -> None:
        """Check that input and weight fit together.

        Raises:
            ValueError: if the input has a wrong number of axes or channels, or is too small.
        """
        dims = self.spread.dims
        shape = input.shape
        if len(shape) not in (dims + 1, dims + 2):
            axes = _AXES[dims]
            raise ValueError(
                f"input must be (batch, channels, {axes}) or (channels, {axes}), got {tuple(shape)}"
            )
        channels = weight.size(1) * self.groups
        if shape[-1 - dims] != channels:
            raise ValueError(
                f"input must have {channels} channels, got {shape[-1 - dims]} in {tuple(shape)}"
            )
        for axis, fewest in enumerate(self.fewest):
            size = shape[axis - dims]
            if size < fewest:
                padding = 0 if isinstance(self.padding, str) else self.padding[axis]
                raise ValueError(
                    f"input must span the {self.spread.kernel_size[axis]} taps of each axis, got "
                    f"{size} pixels and a padding of {padding} in {tuple(shape)}"
                )

    def pad(self, input: Tensor) -> Tensor:
        """Pad what a convolution cannot pad itself.

        Raises:
            ValueError: if the input has too few pixels to reflect or to wrap.
        """
        if self.padding_mode == "zeros":
            return F.pad(input, self.ahead) if self.ahead else input
        missing = {"reflect": 1, "circular": 0}.get(self.padding_mode)
        if missing is not None:
            for size, side in zip(input.shape[-len(self.sides) :], self.sides, strict=True):
                if size < max(side) + missing:
                    raise ValueError(
                        f"padding_mode={self.padding_mode!r} needs an axis of "
                        f"{max(side) + missing} pixels to pad {max(side)}, got {size} in "
                        f"{tuple(input.shape)}"
                    )
        return F.pad(input, self.ahead, mode=self.padding_mode) if self.ahead else input


def make_plan(
    stride: int | Sequence[int],
    padding: str | int | Sequence[int],
    groups: int,
    padding_mode: PaddingMode,
    spread: Spread,
    algorithm: Algorithm,
) -> Plan:
    """Check the arguments and make the plan.

    Args:
        stride: stride, once or per axis.
        padding: padding of the plain convolution, once or per axis, or ``"same"``, ``"valid"``.
        groups: number of groups of channels.
        padding_mode: what lies beyond the border.
        spread: where the taps lie.
        algorithm: an algorithm that applies, or ``"auto"``.

    Raises:
        ValueError: if the stride is below 1, the padding is negative or an unknown string,
            ``"same"`` comes with a stride other than 1, or the padding mode is unknown.
    """
    strides = ints(stride, "stride", spread.dims, minimum=1)
    modes = get_args(PaddingMode)
    if padding_mode not in modes:
        raise ValueError(f"padding_mode must be one of {', '.join(modes)}, got {padding_mode!r}")
    if not isinstance(padding, str):
        padding = ints(padding, "padding", spread.dims, minimum=0)
    elif padding not in ("same", "valid"):
        raise ValueError(f"padding must be ints, 'same' or 'valid', got {padding!r}")
    dense = all(s == 1 for s in strides)
    if padding == "same" and not dense:
        raise ValueError(f"padding='same' needs stride 1, got stride {stride!r}")
    plain = (0,) * spread.dims if isinstance(padding, str) else padding
    fewest = tuple(k - 2 * p for k, p in zip(spread.kernel_size, plain, strict=True))
    sides = padding_sides(padding, spread.kernel_size, spread.effective_size)
    # A convolution pads as many zeros before as after.
    zeros = tuple(min(side) if padding_mode == "zeros" else 0 for side in sides)
    rest = [(b - z, a - z) for (b, a), z in zip(sides, zeros, strict=True)]
    # F.pad takes the last axis first.
    ahead = tuple(pixels for side in reversed(rest) for pixels in side)
    return Plan(
        strides,
        padding,
        groups,
        padding_mode,
        spread,
        algorithm,
        plain if padding == "same" else fewest,
        sides,
        ahead if any(ahead) else (),
        zeros,
        dense,
        two_steps=_two_steps(strides, zeros, spread) if spread.uniform else None,
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


def split_padding(
    padding: Sequence[int], dilation: Sequence[int], steps: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Split zero padding between the tent filter and the base convolution.

    Beyond ``2 * (dilation - 1)`` pixels outside the border the filter's output is zero, so those
    pixels can be padded after it. Where the filter has a stride its two ends do not line up alike,
    and all of the padding comes first.

    Args:
        padding: zeros on both sides per axis.
        dilation: pixels between neighboring taps, per axis.
        steps: stride of the tent filter per axis.
    """
    inner = tuple(
        max(0, p - 2 * (d - 1)) if step == 1 else 0
        for p, d, step in zip(padding, dilation, steps, strict=True)
    )
    return tuple(p - i for p, i in zip(padding, inner, strict=True)), inner


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
    sides = []
    for axis, (k, size) in enumerate(zip(kernel_size, effective_size, strict=True)):
        if padding == "same":
            total, before = size - 1, (size - 1) // 2
        else:
            plain = 0 if isinstance(padding, str) else padding[axis]
            total, before = 2 * plain + size - k, plain + (size - k) // 2
        sides.append((before, total - before))
    return tuple(sides)


def check_groups(groups: int, in_channels: int, out_channels: int) -> None:
    """Raise a :class:`ValueError` if the channels cannot be divided into so many groups."""
    (count,) = ints(groups, "groups", 1, minimum=1)
    if in_channels % count or out_channels % count:
        raise ValueError(
            f"groups must divide the channels, got {groups!r} for {in_channels} in and "
            f"{out_channels} out"
        )


def check_algorithm(
    algorithm: Algorithm, spread: Spread, *, separable: bool, learned: bool = False
) -> None:
    """Check that an algorithm can compute a layer.

    Args:
        algorithm: the algorithm's name.
        spread: where the taps lie.
        separable: whether the tent is the product of one line per axis.
        learned: whether the tent is learned.

    Raises:
        ValueError: if it cannot, with the reason.
    """
    names = get_args(Algorithm)
    if algorithm not in names:
        raise ValueError(f"algorithm must be one of {', '.join(names)}, got {algorithm!r}")
    if spread.plain:
        return
    if algorithm in ("tent_first", "separable_tent") and not spread.uniform:
        raise ValueError(
            f"algorithm={algorithm!r} needs the same tent at every tap, that is "
            f"fade = dilation - 1 and no crop, got fade={spread.fade}, dilation={spread.dilation}, "
            f"growth={spread.growth}"
        )
    if algorithm in ("separable_tent", "axis_first") and not separable:
        kind = "a learned tent" if learned else "a tent that is not, in double precision"
        raise ValueError(
            f"algorithm={algorithm!r} needs a tent that is the product of one line per axis "
            f"(corner = edge**2, or a named profile), got {kind}"
        )
