"""Which convolutions an interpodilated layer can stand for."""

from typing import TypeGuard

from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils.parametrize import is_parametrized

from interpodil.conv import InterpodilConv1d, InterpodilConv2d, InterpodilConv3d
from interpodil.conversion.replacement import hooks_of
from interpodil.conversion.where import ConvNd

InterpodilConv = InterpodilConv1d | InterpodilConv2d | InterpodilConv3d

LAYERS: dict[type[nn.Module], type[InterpodilConv]] = {
    nn.Conv1d: InterpodilConv1d,
    nn.Conv2d: InterpodilConv2d,
    nn.Conv3d: InterpodilConv3d,
}


def is_forward_convolution(module: nn.Module) -> TypeGuard[ConvNd]:
    """Tell whether a module has a kernel to choose it by: no transposed and no lazy one."""
    return isinstance(module, ConvNd) and not isinstance(module, LazyModuleMixin)


def obstacle(conv: _ConvNd) -> str | None:
    """Say why a convolution cannot be replaced without a change of what it does, if so."""
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
