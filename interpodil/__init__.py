"""Interpodilated convolutions: dilated convolutions with the space between the taps filled in."""

from interpodil.conv import InterpodilConv1d, InterpodilConv2d, InterpodilConv3d
from interpodil.conversion import Conversion, convert
from interpodil.expansion import expansion_gain, expansion_tensor
from interpodil.folding import fold
from interpodil.functional import (
    effective_kernel,
    interpodil_conv1d,
    interpodil_conv2d,
    interpodil_conv3d,
)
from interpodil.init import dirac_, lsuv_
from interpodil.lazy import LazyInterpodilConv1d, LazyInterpodilConv2d, LazyInterpodilConv3d
from interpodil.optimizer import no_weight_decay
from interpodil.spread import canonical_window, effective_size
from interpodil.tents import profile_tent, tent
from interpodil.where import spatial, stem, three_by_three

__all__ = [
    "Conversion",
    "InterpodilConv1d",
    "InterpodilConv2d",
    "InterpodilConv3d",
    "LazyInterpodilConv1d",
    "LazyInterpodilConv2d",
    "LazyInterpodilConv3d",
    "canonical_window",
    "convert",
    "dirac_",
    "effective_kernel",
    "effective_size",
    "expansion_gain",
    "expansion_tensor",
    "fold",
    "interpodil_conv1d",
    "interpodil_conv2d",
    "interpodil_conv3d",
    "lsuv_",
    "no_weight_decay",
    "profile_tent",
    "spatial",
    "stem",
    "tent",
    "three_by_three",
]
