"""Interpodilated convolutions: dilated convolutions with the space between the taps filled in."""

from interpodil.conv import InterpodilConv2d
from interpodil.expansion import (
    canonical_window,
    effective_size,
    expansion_coefficients,
    expansion_tensor,
)
from interpodil.functional import effective_kernel, interpodil_conv2d
from interpodil.init import expansion_gain
from interpodil.tent import tent

__all__ = [
    "InterpodilConv2d",
    "canonical_window",
    "effective_kernel",
    "effective_size",
    "expansion_coefficients",
    "expansion_gain",
    "expansion_tensor",
    "interpodil_conv2d",
    "tent",
]
