"""The padding that keeps the plain convolution's output size."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

Sides = tuple[tuple[int, int], ...]


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
