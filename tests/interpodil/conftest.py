"""What the tests of the layer share."""

import importlib.util
import math
from pathlib import Path

import pytest
import torch

# More terms than any number has that a test compares, chained operations included.
MANY_TERMS = 2**16


def load(name):
    """A module beside this file; the folder is no package, which would hide the package tested."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"interpodil_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def reference():
    """The module `reference.py` beside this file."""
    return load("reference")


@pytest.fixture(scope="session")
def cases():
    """The module `cases.py` beside this file."""
    return load("cases")


@pytest.fixture(autouse=True)
def seeded():
    """Every test draws the same numbers wherever it runs."""
    torch.manual_seed(0)


@pytest.fixture
def random_tensor():
    """Draws of one generator, so that a test sees the same numbers wherever it runs."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape, dtype=torch.float64):
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    return draw


@pytest.fixture(scope="session")
def assert_near():
    """Compares numbers as well as a dtype, `actual`'s or another, can tell them apart.

    `terms` is how many a number is the sum of; low precision tells nothing of very long sums.
    """

    def compare(actual, expected, dtype=None, message="", terms=MANY_TERMS):
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

    return compare
