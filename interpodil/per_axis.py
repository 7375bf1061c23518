"""Arguments given once for all spatial axes, or once per axis."""

import math
import operator
from collections.abc import Sequence
from typing import Any

COUNT_WORDS = {1: "one int", 2: "one or two ints", 3: "one or three ints"}


def ints(value: int | Sequence[int], name: str, dims: int, minimum: int) -> tuple[int, ...]:
    """Return ``value`` as one int per axis.

    Raises:
        ValueError: if ``value`` is neither an int nor ``dims`` ints, or one is below ``minimum``.
    """
    values = tuple(_index(v) for v in _spread(value, dims))
    if len(values) != dims or any(v is None or v < minimum for v in values):
        raise ValueError(f"{name} must be {COUNT_WORDS[dims]} >= {minimum}, got {value!r}")
    return values  # type: ignore[return-value]


def number(value: Any, name: str) -> float:
    """Return ``value``, a finite real number; tensors are none.

    Raises:
        ValueError: if it is anything else.
    """
    plain = _real(value)
    if plain is None or not -math.inf < plain < math.inf:
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    return plain


def fades(value: float | Sequence[float] | None, dilation: tuple[int, ...]) -> tuple[float, ...]:
    """Return the fade of every axis, ``None`` standing for its dilation - 1.

    Raises:
        ValueError: if a fade is negative or not finite, or there is not one per axis.
    """
    given = _spread(value, len(dilation))
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
    given = _spread(value, len(windows))
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
    # Numbers of other libraries convert; tensors and texts would too, but are a mistake.
    if isinstance(value, bool | str | bytes) or hasattr(value, "requires_grad"):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _spread(value: Any, dims: int) -> tuple[Any, ...]:
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return tuple(value)
    return (value,) * dims
