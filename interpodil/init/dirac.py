"""Dirac initialisation: a layer that starts out as the identity, or as near as its tent allows."""

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin

from interpodil.conversion.convertible import InterpodilConv


def dirac_(layer: InterpodilConv) -> InterpodilConv:
    r"""Make a layer pass its input on, as :func:`torch.nn.init.dirac_` does for plain ones.

    Every output channel passes on the input channel of the same number within its group (those of a
    higher number than the group has inputs are zero). The effective kernel is then the tent placed
    at the centre tap, which is a blur. The weight is divided by that tent's sum, so that

    - where no sample of the tent but its centre differs from zero (``edge = corner = 0`` at a
      dilation of 2) the layer is the exact identity,
    - with any other tent constants pass unchanged, and with a mirrored one linear ramps too, where
      the kernel does not reach into padded zeros. All else is smoothed.

    No weights do better: at another tap's pixel only that tap is seen, so an identity needs all
    weights but the centre one to be zero, and what is left is the centre's tent.

    A stride subsamples the result. The identity needs the padding of a plain convolution that keeps
    the size, ``(k - 1) / 2``. The bias is set to zero, which ``torch.nn.init.dirac_`` cannot do as
    it sees the weight alone. A tent that is learned is taken as it is now; it is not changed, and
    later changes of it change the sum.

    Args:
        layer: an interpodilated layer with an odd number of taps per axis; changed in place.

    Returns:
        the layer.

    Raises:
        ValueError: if it is no such layer or a lazy one, an axis has an even number of taps, which
            have no centre, the sum of the tent is zero, or the weight is computed from others
            (parametrized). Nothing is changed then.

    Example::

        >>> layer = dirac_(InterpodilConv2d(3, 3, padding=1))
        >>> layer(torch.ones(1, 3, 9, 9))[0, 0, 4, 4].item()
        1.0
        >>> layer.weight[0, 0, 1, 1].item()
        0.25
    """
    if not isinstance(layer, InterpodilConv) or isinstance(layer, LazyModuleMixin):
        raise ValueError(
            f"dirac_ needs an interpodilated layer with weights, got {type(layer).__name__}"
        )
    if any(k % 2 == 0 for k in layer.kernel_size):
        raise ValueError(f"dirac_ needs odd kernel sizes, got {tuple(layer.kernel_size)}")
    weight = layer.weight
    if not isinstance(weight, nn.Parameter):
        raise ValueError("dirac_ needs a weight that is a parameter itself, got a computed one")
    with torch.no_grad():
        before = weight.clone()
        nn.init.dirac_(weight, layer.groups)
        sums = layer.effective_kernel().flatten(2).sum(2)
        passed = weight.flatten(2).any(2)
        if (sums[passed].abs() <= torch.finfo(weight.dtype).eps).any():
            weight.copy_(before)
            raise ValueError("dirac_ needs a tent with a sum other than 0, got one that sums to 0")
        sums[~passed] = 1
        weight.div_(sums[(..., *[None] * len(layer.kernel_size))])
        if layer.bias is not None:
            layer.bias.zero_()
    return layer
