"""The ways to compute an interpodilated convolution, which agree to rounding."""

from interpodil.algorithms.choice import Algorithm, check_algorithm, compute

__all__ = ["Algorithm", "check_algorithm", "compute"]
