"""Choosing convolutions of a model, and telling which of them can be replaced."""

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TypeGuard

from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils.parametrize import is_parametrized

from interpodil.base import InterpodilConv
from interpodil.conv import LAYERS
from interpodil.modules import ConvNd, hooks_of

Predicate = Callable[[str, ConvNd], bool]
Where = str | Iterable[str] | Predicate

# Gray, gray with alpha, RGB, RGB with alpha.
IMAGE_CHANNELS = 4


def spatial(name: str, conv: ConvNd) -> bool:
    """Choose convolutions with more than one tap on some axis, which leaves out the 1x1 ones."""
    return any(k > 1 for k in conv.kernel_size)


def stem(name: str, conv: ConvNd) -> bool:
    """Choose convolutions that read images: at most 4 input channels, and more than one tap.

    Only the channels count, so a small network with few channels may have several.
    """
    return conv.in_channels <= IMAGE_CHANNELS and spatial(name, conv)


def three_by_three(name: str, conv: ConvNd) -> bool:
    """Choose convolutions with 3 taps on every axis, depthwise ones among them."""
    return all(k == 3 for k in conv.kernel_size)


def check_where(where: Where) -> tuple[str, ...] | Predicate:
    """Return ``where`` as a tuple of glob patterns or a predicate.

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
    """Tell whether a module is chosen by any of its names."""
    if callable(where):
        return any(where(name, convolution) for name in names)
    return any(fnmatchcase(name, pattern) for name in names for pattern in where)


def is_forward_convolution(module: nn.Module) -> TypeGuard[ConvNd]:
    """Tell whether a module is a convolution with weights, neither transposed nor lazy."""
    return isinstance(module, ConvNd) and not isinstance(module, LazyModuleMixin)


def obstacle(conv: _ConvNd) -> str | None:
    """Return why replacing a convolution would change what it does, or ``None``."""
    if isinstance(conv, InterpodilConv):
        return "interpodilated already"
    if isinstance(conv, LazyModuleMixin):
        return "lazy, without weights before its first call"
    if isinstance(conv, _ConvTransposeNd):
        return "a transposed convolution"
    if is_parametrized(conv):
        return "parametrized"
    if type(conv) not in LAYERS:
        return f"a subclass, {type(conv).__name__}"
    if any(d != 1 for d in conv.dilation):
        return f"a dilation of {conv.dilation}, not 1"
    if hooks := hooks_of(conv, of_state_dict=True):
        return f"with hooks ({', '.join(hooks)})"
    if set(conv._parameters) != {"weight", "bias"} or conv._buffers or conv._modules:
        return "with parameters, buffers or modules that a convolution does not have"
    if "forward" in vars(conv):
        return "with a forward of its own"
    return None
