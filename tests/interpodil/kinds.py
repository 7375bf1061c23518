"""What the tests of the layer share: kinds of layers and settings, and how numbers are compared."""

import math

import torch
from torch import nn

from interpodil import (
    InterpodilConv1d,
    InterpodilConv2d,
    InterpodilConv3d,
    interpodil_conv1d,
    interpodil_conv2d,
    interpodil_conv3d,
)

LAYERS = {1: InterpodilConv1d, 2: InterpodilConv2d, 3: InterpodilConv3d}
CONVOLUTIONS = {1: interpodil_conv1d, 2: interpodil_conv2d, 3: interpodil_conv3d}
PLAIN = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
PATHS = ["expanded", "tent_first", "separable_tent", "axis_first", "auto"]
PADDING_MODES = ["zeros", "reflect", "replicate", "circular"]
EXACT = {"rtol": 1e-12, "atol": 1e-12}
# More terms than any number has that a test compares, chained operations included.
MANY_TERMS = 2**16


def toy():
    """A model of two convolutions, named 0 and 2."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1, bias=False)
    )


def draw(*shape, dtype=torch.float64):
    """Random numbers, in double precision if not told otherwise."""
    return torch.randn(shape, dtype=torch.float64).to(dtype)


def assert_near(actual, expected, dtype=None, message="", terms=MANY_TERMS):
    """Compare numbers as well as a dtype, `actual`'s or another, can tell them apart.

    `terms` is how many a number is the sum of; low precision tells nothing of very long sums.
    """
    assert actual.shape == expected.shape, message
    # Where each of n additions rounds at random, as on a CPU that adds in the dtype itself,
    # the errors are a random walk: about 0.4 * sqrt(n) roundings of a number as large as the
    # sum. Ten times as much happens on no CPU, and a wrong coefficient is more.
    tolerance = 4 * math.sqrt(terms) * torch.finfo(dtype or actual.dtype).eps / 2
    assert tolerance < 0.3, "so many terms cannot be told from noise in this dtype"
    actual, expected = actual.detach().double().cpu(), expected.detach().double().cpu()
    largest = max(1.0, expected.abs().max().item()) if expected.numel() else 1.0
    error = (actual - expected).abs().max().item() if expected.numel() else 0.0
    assert error <= tolerance * largest, (
        f"off by {error:.3g} where the largest number is {largest:.3g} {message}"
    )
