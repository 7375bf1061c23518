"""Where the taps of a base kernel lie, and checks of arguments given once or per axis."""

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


def canonical_window(kernel_size: int, dilation: int = 2) -> int:
    r"""Return the pixels from the first to the last tap of one axis, :math:`n = d (k - 1) + 1`.

    Raises:
        ValueError: if ``kernel_size`` or ``dilation`` is below 1.
    """
    if kernel_size < 1:
        raise ValueError(f"kernel_size must be >= 1, got {kernel_size!r}")
    if dilation < 1:
        raise ValueError(f"dilation must be >= 1, got {dilation!r}")
    return dilation * (kernel_size - 1) + 1


def effective_size(
    kernel_size: int, dilation: int = 2, fade: float | None = None, growth: int | None = None
) -> int:
    r"""Return the effective kernel's size along one axis.

    .. math::
        S = \min(\text{growth}, \; n + 2 \lceil \text{fade} \rceil), \quad n = d (k - 1) + 1

    Args:
        kernel_size: taps :math:`k` of the axis.
        dilation: pixels :math:`d` between neighboring taps.
        fade: pixels beyond the outermost taps over which the kernel falls to zero, ``None`` for
            ``dilation - 1``.
        growth: size the effective kernel is cropped to, or ``None`` to keep all of it.

    Raises:
        ValueError: if ``kernel_size`` or ``dilation`` is below 1, ``fade`` is negative or not
            finite, or ``growth`` is smaller than the canonical window :math:`n` or odd where
            :math:`n` is even or the other way round (the crop takes as much from both ends).

    Example::

        >>> effective_size(3, dilation=2, fade=1.0), effective_size(3, dilation=2, growth=5)
        (7, 5)
    """
    window = canonical_window(kernel_size, dilation)
    (fade,) = fades(fade, (dilation,))
    (growth,) = growths(growth, (window,))
    support = window + 2 * math.ceil(fade)
    return support if growth is None else min(growth, support)


@dataclass(frozen=True)
class Spread:
    """Where the taps of a base kernel lie and how far they reach, per axis.

    Attributes:
        dims: number of axes.
        kernel_size: taps.
        dilation: pixels between neighboring taps.
        fade: pixels beyond the outermost taps over which the kernel falls to zero.
        growth: size the effective kernel is cropped to, or ``None``.
        tent_shape: size of the tent.
        effective_size: size of the effective kernel.
        plain: whether no tap reaches another pixel; then the convolution is a plain one.
        uniform: whether every tap has the same tent, neither stretched nor cropped.
    """

    dims: int
    kernel_size: tuple[int, ...]
    dilation: tuple[int, ...]
    fade: tuple[float, ...]
    growth: tuple[int | None, ...]
    tent_shape: tuple[int, ...]
    effective_size: tuple[int, ...]
    plain: bool
    uniform: bool


def make_spread(
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int],
    fade: float | Sequence[float] | None,
    growth: int | Sequence[int | None] | None,
    dims: int,
) -> Spread:
    """Check the arguments and return the spread.

    Raises:
        ValueError: if an argument breaks a rule of :func:`effective_size`, or is given neither
            once nor per axis.
    """
    kernel_sizes = ints(kernel_size, "kernel_size", dims, minimum=1)
    dilations = ints(dilation, "dilation", dims, minimum=1)
    axes = tuple(zip(kernel_sizes, dilations, strict=True))
    per_axis_fades = fades(fade, dilations)
    per_axis_growths = growths(growth, tuple(canonical_window(k, d) for k, d in axes))
    sizes = tuple(
        effective_size(k, d, f, g)
        for (k, d), f, g in zip(axes, per_axis_fades, per_axis_growths, strict=True)
    )
    whole = tuple(canonical_window(k, d) + 2 * (d - 1) for k, d in axes)
    unstretched = all(f == d - 1 for f, d in zip(per_axis_fades, dilations, strict=True))
    return Spread(
        dims,
        kernel_sizes,
        dilations,
        per_axis_fades,
        per_axis_growths,
        tent_shape=tuple(2 * d - 1 for d in dilations),
        effective_size=sizes,
        plain=sizes == kernel_sizes,
        uniform=sizes == whole and unstretched,
    )


COUNT_WORDS = {1: "one int", 2: "one or two ints", 3: "one or three ints"}


def ints(value: int | Sequence[int], name: str, dims: int, minimum: int) -> tuple[int, ...]:
    """Return ``value`` as one int per axis.

    Raises:
        ValueError: if ``value`` is neither an int nor ``dims`` ints, or one is below ``minimum``.
    """
    values = tuple(_index(v) for v in _per_axis(value, dims))
    if len(values) != dims or any(v is None or v < minimum for v in values):
        raise ValueError(f"{name} must be {COUNT_WORDS[dims]} >= {minimum}, got {value!r}")
    return values  # type: ignore[return-value]


def number(value: Any, name: str) -> float:
    """Return ``value`` if it is a finite real number, not a tensor.

    Raises:
        ValueError: if it is not.
    """
    plain = _real(value)
    if plain is None or not -math.inf < plain < math.inf:
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    return plain


def fades(value: float | Sequence[float] | None, dilation: tuple[int, ...]) -> tuple[float, ...]:
    """Return the fade of every axis; ``None`` means dilation - 1.

    Raises:
        ValueError: if a fade is negative or not finite, or there is not one per axis.
    """
    given = _per_axis(value, len(dilation))
    if len(given) != len(dilation):
        raise ValueError(f"fade must be None, one number or {len(dilation)}, got {value!r}")
    values = tuple(
        d - 1 if fade is None else _real(fade) for fade, d in zip(given, dilation, strict=True)
    )
    if any(fade is None or not 0 <= fade < math.inf for fade in values):
        raise ValueError(f"fade must be finite and >= 0, got {value!r}")
    return values  # type: ignore[return-value]


def growths(
    value: int | Sequence[int | None] | None, windows: tuple[int, ...]
) -> tuple[int | None, ...]:
    """Return the growth of every axis, given the canonical windows.

    Raises:
        ValueError: if a growth is not its window or that plus an even number, or there is not one
            per axis.
    """
    given = _per_axis(value, len(windows))
    if len(given) != len(windows):
        raise ValueError(f"growth must be None, one int or {len(windows)}, got {value!r}")
    values = tuple(_index(growth) for growth in given)
    for asked, growth, window in zip(given, values, windows, strict=True):
        if asked is None:
            continue
        if growth is None or growth < window or (growth - window) % 2:
            raise ValueError(
                f"growth must be {window} (the canonical window) or that plus an even number, "
                f"got {value!r}"
            )
    return values


def _index(value: Any) -> int | None:
    if type(value) is int:
        return value
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def _real(value: Any) -> float | None:
    if type(value) in (int, float):
        return value
    # Numbers of other libraries convert; tensors and strings would too, but are mistakes.
    if isinstance(value, bool | str | bytes) or hasattr(value, "requires_grad"):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _per_axis(value: Any, dims: int) -> tuple[Any, ...]:
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return tuple(value)
    return (value,) * dims
