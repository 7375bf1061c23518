"""Arguments that stand for both axes of an image."""

from collections.abc import Sequence


def pair(value: int | Sequence[int], name: str, minimum: int) -> tuple[int, int]:
    """Return ``value`` as (height, width): one int for both axes, or two ints.

    Raises:
        ValueError: if ``value`` is anything else, or an int is smaller than ``minimum``.
    """
    values = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(values) != 2 or not all(isinstance(v, int) and v >= minimum for v in values):
        raise ValueError(f"{name} must be one or two ints >= {minimum}, got {value!r}")
    return values[0], values[1]
