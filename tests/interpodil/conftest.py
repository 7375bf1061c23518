import pytest
import torch


@pytest.fixture(autouse=True)
def seeded():
    """Every test draws the same numbers wherever it runs."""
    torch.manual_seed(0)
