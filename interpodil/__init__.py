"""Interpodilated convolutions: dilated convolutions with the space between the taps filled in."""

from interpodil.conv import InterpodilConv1d, InterpodilConv2d, InterpodilConv3d
from interpodil.expansion import expansion_tensor
from interpodil.functional import (
    effective_kernel,
    interpodil_conv1d,
    interpodil_conv2d,
    interpodil_conv3d,
)
from interpodil.init import expansion_gain
from interpodil.lazy import LazyInterpodilConv1d, LazyInterpodilConv2d, LazyInterpodilConv3d
from interpodil.spread import canonical_window, effective_size
from interpodil.tent import profile_tent, tent

__all__ = [
    "InterpodilConv1d",
    "InterpodilConv2d",
    "InterpodilConv3d",
    "LazyInterpodilConv1d",
    "LazyInterpodilConv2d",
    "LazyInterpodilConv3d",
    "canonical_window",
    "effective_kernel",
    "effective_size",
    "expansion_gain",
    "expansion_tensor",
    "interpodil_conv1d",
    "interpodil_conv2d",
    "interpodil_conv3d",
    "profile_tent",
    "tent",
]
