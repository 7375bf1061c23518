"""Arguments given once for all spatial axes, or once per axis."""

import math
import operator
from collections.abc import Sequence
from typing import SupportsIndex

COUNT_WORDS = {1: "one int", 2: "one or two ints", 3: "one or three ints"}


def ints(value: int | Sequence[int], name: str, dims: int, minimum: int) -> tuple[int, ...]:
    """Return ``value`` as one int per axis.

    Raises:
        ValueError: if ``value`` is neither an int nor ``dims`` ints, or one is below ``minimum``.
    """
    values = _spread(value, dims)
    if len(values) != dims or not all(
        isinstance(v, SupportsIndex) and operator.index(v) >= minimum for v in values
    ):
        raise ValueError(f"{name} must be {COUNT_WORDS[dims]} >= {minimum}, got {value!r}")
    return tuple(operator.index(v) for v in values)


def fades(value: float | Sequence[float] | None, dilation: tuple[int, ...]) -> tuple[float, ...]:
    """Return the fade of every axis, ``None`` standing for its dilation - 1.

    Raises:
        ValueError: if a fade is negative or not finite, or there is not one per axis.
    """
    if value is None:
        return tuple(d - 1 for d in dilation)
    values = _spread(value, len(dilation))
    if len(values) != len(dilation):
        raise ValueError(f"fade must be one number or {len(dilation)}, got {value!r}")
    for fade in values:
        if not 0 <= fade < math.inf:
            raise ValueError(f"fade must be finite and >= 0, got {value!r}")
    return values


def growths(
    value: int | Sequence[int | None] | None, windows: tuple[int, ...]
) -> tuple[int | None, ...]:
    """Return the growth of every axis, given the canonical windows.

    Raises:
        ValueError: if a growth is not its window or that plus an even number, or there is not one
            per axis.
    """
    values = _spread(value, len(windows))
    if len(values) != len(windows):
        raise ValueError(f"growth must be None, one int or {len(windows)}, got {value!r}")
    for growth, window in zip(values, windows, strict=True):
        if growth is None:
            continue
        fits = isinstance(growth, SupportsIndex) and operator.index(growth) >= window
        if not fits or (growth - window) % 2:
            raise ValueError(
                f"growth must be {window} (the canonical window) or that plus an even number, "
                f"got {value!r}"
            )
    return tuple(None if growth is None else operator.index(growth) for growth in values)


def _spread(value, dims):  # type: ignore[no-untyped-def]
    return tuple(value) if isinstance(value, Sequence) else (value,) * dims
