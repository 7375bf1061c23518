"""The ways to compute an interpodilated convolution, which agree to rounding."""

from interpodil.algorithms.axis_first import axis_first
from interpodil.algorithms.choice import SEPARABLE, Algorithm, check_algorithm, choose
from interpodil.algorithms.expanded import expanded
from interpodil.algorithms.tent_first import tent_first

__all__ = [
    "SEPARABLE",
    "Algorithm",
    "axis_first",
    "check_algorithm",
    "choose",
    "expanded",
    "tent_first",
]
