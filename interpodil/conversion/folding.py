"""Turning interpodilated layers into plain convolutions with the same outputs."""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils.parametrize import is_parametrized

from interpodil.conversion.convertible import LAYERS, InterpodilConv
from interpodil.conversion.replacement import hooks_of, names_of_modules, replace_modules
from interpodil.conversion.where import ConvNd
from interpodil.settings import padding_sides

PLAIN: Mapping[int, Callable[..., ConvNd]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def fold(module: nn.Module) -> nn.Module:
    r"""Turn interpodilated layers into plain convolutions with equal outputs, for inference.

    The effective kernel becomes the weight of a :class:`torch.nn.Conv1d`, ``Conv2d`` or ``Conv3d``
    of dilation 1, with the stride, groups, padding mode, bias, dtype, device, memory format,
    training flag and ``requires_grad`` of the layer. Its padding is the layer's, plus what the
    effective kernel needs; ``"same"`` stays ``"same"``. A plain convolution pads both ends alike,
    so where the layer pads one more pixel after than before (an even number of taps, an even
    dilation) the kernel gets zeros in front of that axis.

    The tents that were learned, and parametrizations of the weights, are computed once and are
    fixed from then on. The parameters are new ones: an optimiser of the old ones knows nothing
    of them, and trained on, all weights of the large kernel change. The keys of the state dict are
    those of plain convolutions.

    Args:
        module: an interpodilated layer, or a model with any number of them.

    Returns:
        For a layer a new plain convolution; the layer itself is left alone. For a model the model,
        changed in place: each layer is folded once, wherever it stands. A model without such
        layers is returned as it is.

    Raises:
        ValueError: if a layer has forward or backward hooks or a forward of its own, or is of a
            subclass, which would be lost; or if it is lazy. Nothing is changed then.

    Example::

        >>> plain = fold(InterpodilConv2d(3, 16, 3, stride=2, padding=1))
        >>> plain
        Conv2d(3, 16, kernel_size=(7, 7), stride=(2, 2), padding=(3, 3))
    """
    layers = {
        layer: names[0]
        for layer, names in names_of_modules(module).items()
        if isinstance(layer, InterpodilConv)
    }
    for layer, name in layers.items():
        if isinstance(layer, LazyModuleMixin):
            raise ValueError(f"folding needs weights, got {name or 'a layer'}, which is lazy")
        if type(layer) not in LAYERS.values() and not is_parametrized(layer):
            raise ValueError(
                f"folding would lose what a subclass does, got {name or 'the layer'}, "
                f"{type(layer).__name__}"
            )
        if "forward" in vars(layer):
            raise ValueError(f"folding would lose the forward that {name or 'the layer'} was given")
        if hooks := hooks_of(layer):
            raise ValueError(
                f"folding would lose the hooks of {name or 'the layer'}, remove them first, "
                f"got {', '.join(hooks)}"
            )
    return replace_modules(module, {layer: _plain(layer) for layer in layers})


def _plain(layer: InterpodilConv) -> ConvNd:
    with torch.no_grad():
        kernel = layer.effective_kernel().clone()
    padding: str | tuple[int, ...] = "same"
    if layer.padding != "same":
        sides = padding_sides(layer.padding, layer.kernel_size, layer.effective_size)
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
    """The format of weights, channels last only where that differs from the default."""
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(weight.dim())
    if last is None or weight.stride() != torch.empty_like(weight, memory_format=last).stride():
        return torch.contiguous_format
    return last
