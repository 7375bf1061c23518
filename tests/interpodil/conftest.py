"""What the tests of the layer share."""

import importlib.util
from pathlib import Path

import pytest
import torch

# The largest error, relative to the largest number of what is expected.
TOLERANCES = {
    torch.float64: 1e-12,
    torch.float32: 5e-5,
    torch.float16: 1e-2,
    torch.bfloat16: 5e-2,
}


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


@pytest.fixture
def random_tensor():
    """Draws of one generator, so that a test sees the same numbers wherever it runs."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape, dtype=torch.float64):
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    return draw


@pytest.fixture(scope="session")
def assert_near():
    """Compares numbers as well as a dtype, `actual`'s or another, can tell them apart."""

    def compare(actual, expected, dtype=None, message=""):
        assert actual.shape == expected.shape, message
        tolerance = TOLERANCES[dtype or actual.dtype]
        actual, expected = actual.detach().double().cpu(), expected.detach().double().cpu()
        largest = max(1.0, expected.abs().max().item()) if expected.numel() else 1.0
        error = (actual - expected).abs().max().item() if expected.numel() else 0.0
        assert error <= tolerance * largest, (
            f"off by {error:.3g} where the largest number is {largest:.3g} {message}"
        )

    return compare
