"""What the tests of the layer share."""

import importlib.util
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session")
def reference():
    """The module `reference.py` beside this file."""
    path = Path(__file__).with_name("reference.py")
    spec = importlib.util.spec_from_file_location("interpodil_reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def random_tensor():
    """Draws of one generator, so that a test sees the same numbers wherever it runs."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape, dtype=torch.float64):
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    return draw
