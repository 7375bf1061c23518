"""Which convolutions of a model are meant: glob patterns on their names, or a predicate."""

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase

from torch import nn

ConvNd = nn.Conv1d | nn.Conv2d | nn.Conv3d
Predicate = Callable[[str, ConvNd], bool]
Where = str | Iterable[str] | Predicate

# Grey, grey with alpha, RGB, RGB with alpha.
IMAGE_CHANNELS = 4


def spatial(name: str, conv: ConvNd) -> bool:
    """Choose convolutions with more than one tap on some axis, which leaves out the 1x1 ones."""
    return any(k > 1 for k in conv.kernel_size)


def stem(name: str, conv: ConvNd) -> bool:
    """Choose convolutions that read images: at most 4 input channels, and more than one tap.

    It goes by the channels alone, so a toy network with few channels inside has several.
    """
    return conv.in_channels <= IMAGE_CHANNELS and spatial(name, conv)


def three_by_three(name: str, conv: ConvNd) -> bool:
    """Choose convolutions with 3 taps on every axis, depthwise ones among them."""
    return all(k == 3 for k in conv.kernel_size)


def check_where(where: Where) -> tuple[str, ...] | Predicate:
    """Return the glob patterns or the predicate that ``where`` stands for.

    Raises:
        ValueError: if it is neither a pattern, nor several, nor callable.
    """
    if callable(where):
        return where
    patterns = (where,) if isinstance(where, str) else where
    if isinstance(patterns, Iterable):
        patterns = tuple(patterns)
        if patterns and all(isinstance(pattern, str) for pattern in patterns):
            return patterns
    raise ValueError(
        f"where must be a glob pattern on module names, several, or a predicate of name and "
        f"convolution, got {where!r}"
    )


def chooses(where: tuple[str, ...] | Predicate, names: Sequence[str], convolution: ConvNd) -> bool:
    """Tell whether a module that stands in a model under ``names`` is meant by any of them."""
    if callable(where):
        return any(where(name, convolution) for name in names)
    return any(fnmatchcase(name, pattern) for name in names for pattern in where)
