"""Folding interpodilated layers into plain convolutions."""

from collections.abc import Callable, Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils.parametrize import is_parametrized

from interpodil.base import InterpodilConv
from interpodil.conv import LAYERS
from interpodil.modules import ConvNd, hooks_of, names_of_modules, replace_modules
from interpodil.plan import padding_sides

PLAIN: Mapping[int, Callable[..., ConvNd]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def fold(module: nn.Module) -> nn.Module:
    r"""Fold interpodilated layers into plain convolutions with equal outputs, for inference.

    The effective kernel becomes the weight of a :class:`torch.nn.Conv1d`, ``Conv2d`` or ``Conv3d``
    of dilation 1, with the layer's stride, groups, padding mode, bias, dtype, device, memory
    format, training flag and ``requires_grad``. Its padding is the layer's plus what the effective
    kernel needs; ``"same"`` stays ``"same"``. A plain convolution pads both ends alike, so where
    the layer pads one pixel more at the end (an even number of taps and an even dilation) the
    kernel gets zeros at its start.

    Learned tents and parametrized weights are computed once and then fixed. The parameters are new:
    an existing optimizer does not train them, and training them would change all weights of the
    large kernel. The keys of the state dict are those of plain convolutions.

    Args:
        module: an interpodilated layer, or a model with any number of them.

    Returns:
        for a layer, a new plain convolution; the layer is not changed. For a model, the model,
        changed in place.

    Raises:
        ValueError: if a layer is lazy, or has hooks, a forward of its own or a subclass, which
            would be lost. Nothing is changed then.

    Example::

        >>> plain = fold(InterpodilConv2d(3, 16, 3, stride=2, padding=1))
        >>> plain
        Conv2d(3, 16, kernel_size=(7, 7), stride=(2, 2), padding=(3, 3))
    """
    plain: dict[nn.Module, nn.Module] = {
        layer: _plain_convolution(layer, names[0] or "the layer")
        for layer, names in names_of_modules(module).items()
        if isinstance(layer, InterpodilConv)
    }
    return replace_modules(module, plain)


def _plain_convolution(layer: InterpodilConv, name: str) -> ConvNd:
    """Return a new plain convolution with equal outputs; ``name`` is for error messages."""
    if isinstance(layer, LazyModuleMixin):
        raise ValueError(f"folding needs weights, got {name}, which is lazy")
    if type(layer) not in LAYERS.values() and not is_parametrized(layer):
        raise ValueError(
            f"folding would lose what a subclass does, got {name}, {type(layer).__name__}"
        )
    if "forward" in vars(layer):
        raise ValueError(f"folding would lose the forward that {name} was given")
    if hooks := hooks_of(layer):
        raise ValueError(
            f"folding would lose the hooks of {name}, remove them first, got {', '.join(hooks)}"
        )
    with torch.no_grad():
        return _with_kernel(cast(ConvNd, layer), layer.effective_kernel().clone())


def _with_kernel(layer: ConvNd, kernel: Tensor) -> ConvNd:
    """Return a plain convolution with a layer's effective kernel and other properties."""
    padding: str | tuple[int, ...] = "same"
    if layer.padding != "same":
        sides = padding_sides(layer.padding, layer.kernel_size, kernel.shape[2:])
        # F.pad takes the last axis first.
        kernel = F.pad(
            kernel, [n for before, after in reversed(sides) for n in (after - before, 0)]
        )
        padding = tuple(after for _, after in sides)
    # On the meta device nothing is allocated, and no random numbers are drawn.
    plain = PLAIN[kernel.dim() - 2](
        layer.in_channels,
        layer.out_channels,
        tuple(kernel.shape[2:]),
        layer.stride,
        padding,
        groups=layer.groups,
        bias=layer.bias is not None,
        padding_mode=layer.padding_mode,
        device="meta",
    )
    kernel = kernel.contiguous(memory_format=_memory_format(layer.weight))
    plain.weight = nn.Parameter(kernel, requires_grad=layer.weight.requires_grad)
    if layer.bias is not None:
        bias = layer.bias.detach().clone()
        plain.bias = nn.Parameter(bias, requires_grad=layer.bias.requires_grad)
    plain.train(layer.training)
    return plain


def _memory_format(weight: Tensor) -> torch.memory_format:
    """Return a weight's memory format, channels last only where it differs from the default."""
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(weight.dim())
    if last is None or weight.stride() != torch.empty_like(weight, memory_format=last).stride():
        return torch.contiguous_format
    return last
