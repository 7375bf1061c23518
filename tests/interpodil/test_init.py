"""The initial weights are Conv2d's, scaled so that the output is as loud."""

import math

import pytest
import torch
from torch import nn

from interpodil import InterpodilConv2d, expansion_gain

SHAPES = [
    {},
    {"growth": 5},
    {"fade": 0},
    {"fade": 2.5},
    {"kernel_size": 2, "dilation": 3, "fade": 2, "edge": 0.7, "corner": 0.6},
    {"kernel_size": (3, 5), "dilation": (2, 1)},
    {"edge": 0, "corner": 0},
    {"dilation": 1, "fade": 0},
]


def test_known_gains():
    assert expansion_gain(3, 2, 1.0) == 1.5
    assert expansion_gain(3, 2, 0) == pytest.approx(4 / 3, rel=1e-15)
    assert expansion_gain(3, 2, 5, growth=5) == pytest.approx(4 / 3, rel=1e-15)
    assert expansion_gain(3, 2, 1.0, edge=0, corner=0) == pytest.approx(1.0)
    assert expansion_gain(3, 1, 0) == 1.0
    assert expansion_gain(1, 2, 1.0) == 1.5


@pytest.mark.parametrize("arguments", SHAPES)
def test_gain_is_the_loudness_for_white_input(reference, random_tensor, arguments):
    """For white input the output's variance is the sum of the squared effective kernel."""
    size = arguments.get("kernel_size", 3)
    k0, k1 = size if isinstance(size, tuple) else (size, size)
    dilation = arguments.get("dilation", 2)
    shape = {k: v for k, v in arguments.items() if k not in ("kernel_size", "dilation")}
    pairs = dilation if isinstance(dilation, tuple) else (dilation, dilation)
    one_hot = torch.eye(k0 * k1, dtype=torch.float64).reshape(-1, 1, k0, k1)
    placed = reference.effective_kernel(one_hot, pairs, **shape)
    expected = math.sqrt(placed.square().sum().item() / (k0 * k1))
    assert expansion_gain(size, dilation, **shape) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("arguments", SHAPES)
@pytest.mark.parametrize("init_scale", [1.0, 1.5, 0.3])
def test_draws_are_those_of_conv2d(arguments, init_scale):
    torch.manual_seed(7)
    kernel_size = arguments.get("kernel_size", 3)
    plain = nn.Conv2d(4, 6, kernel_size, groups=2, dtype=torch.float64)
    after = torch.rand(())
    torch.manual_seed(7)
    layer = InterpodilConv2d(
        4, 6, **arguments, groups=2, init_scale=init_scale, dtype=torch.float64
    )
    assert torch.equal(torch.rand(()), after)
    gain = expansion_gain(**{k: v for k, v in arguments.items() if k != "init_scale"})
    torch.testing.assert_close(layer.weight * gain / init_scale, plain.weight)
    assert torch.equal(layer.bias, plain.bias)
    torch.manual_seed(7)
    before = layer.weight.detach().clone()
    layer.reset_parameters()
    assert torch.equal(layer.weight, before)


@pytest.mark.parametrize("arguments", SHAPES[:5])
def test_output_variance_is_that_of_conv2d(arguments):
    torch.manual_seed(0)
    x = torch.randn(4, 32, 40, 40)
    kernel_size = arguments.get("kernel_size", 3)
    plain = nn.Conv2d(32, 96, kernel_size, bias=False)
    layer = InterpodilConv2d(32, 96, bias=False, **arguments)
    # Away from the border, which padding makes quieter.
    inside = layer(x)[..., 6:-6, 6:-6]
    assert inside.var().item() == pytest.approx(plain(x).var().item(), rel=0.05)
    # Uniform weights within 1 / sqrt(fan in) have a variance of 1 / (3 fan in).
    assert inside.var().item() == pytest.approx(1 / 3, rel=0.05)
