"""The initial weights are the plain convolution's, scaled so that the output is as loud."""

import math

import pytest
import torch

from interpodil import expansion_gain
from tests.interpodil import reference
from tests.interpodil.kinds import LAYERS, PLAIN

SKEW = torch.tensor([[0.1, 0.4, 0.2], [0.5, 1.0, 0.3], [-0.5, 0.6, 0.7]], dtype=torch.float64)
# Settings of the expansion by the number of dimensions.
SETTINGS = [
    (2, {}),
    (2, {"growth": 5}),
    (2, {"fade": 0}),
    (2, {"fade": 2.5}),
    (2, {"fade": (0.5, 4), "growth": (None, 9)}),
    (2, {"kernel_size": 2, "dilation": 3, "fade": 2, "edge": 0.7, "corner": 0.6}),
    (2, {"kernel_size": (3, 5), "dilation": (2, 1)}),
    (2, {"edge": 0, "corner": 0}),
    (2, {"dilation": 1, "fade": 0}),
    (2, {"dilation": 3, "tent": "gaussian"}),
    (2, {"tent": "cosine", "fade": 1.7}),
    (2, {"tent": SKEW}),
    (1, {}),
    (1, {"dilation": 4, "fade": 6.0}),
    (3, {}),
    (3, {"fade": 0, "edge": 0.6, "corner": 0.1}),
]
LEARNED = [
    (2, {"learn_tent": True}),
    (2, {"learn_tent": "channel", "tent": "cosine", "fade": 2.5}),
    (1, {"learn_tent": "layer", "edge": 0.2}),
]


def test_known_gains():
    assert expansion_gain(3, 2) == pytest.approx(1.5, rel=1e-15)
    assert expansion_gain(3, 2, 0) == pytest.approx(4 / 3, rel=1e-15)
    assert expansion_gain(3, 2, 5, growth=5) == pytest.approx(4 / 3, rel=1e-15)
    assert expansion_gain(3, 2, edge=0, corner=0) == pytest.approx(1.0)
    assert expansion_gain(3, 1, 0) == 1.0
    assert expansion_gain(1, 2) == pytest.approx(1.5)
    # A linear tent is separable, and so is its gain.
    for dims in (1, 2, 3):
        assert expansion_gain(3, 2, dims=dims) == pytest.approx(1.5 ** (dims / 2))
        assert expansion_gain(3, 2, growth=5, dims=dims) == pytest.approx((4 / 3) ** (dims / 2))


def gain_of(dims, arguments):
    return expansion_gain(**{k: v for k, v in arguments.items() if k != "learn_tent"}, dims=dims)


@pytest.mark.parametrize(("dims", "arguments"), SETTINGS)
def test_gain_is_the_loudness_for_white_input(dims, arguments):
    """For white input the output's variance is the sum of the squared effective kernel."""
    kernel_size = reference.per_axis(arguments.get("kernel_size", 3), dims)
    taps = math.prod(kernel_size)
    one_hot = torch.eye(taps, dtype=torch.float64).reshape(-1, 1, *kernel_size)
    shape = {k: v for k, v in arguments.items() if k != "kernel_size"}
    placed = reference.effective_kernel(one_hot, **shape)
    expected = math.sqrt(placed.square().sum().item() / taps)
    assert gain_of(dims, arguments) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("dims", "arguments"), SETTINGS + LEARNED)
def test_draws_are_those_of_a_plain_convolution(dims, arguments):
    torch.manual_seed(7)
    kernel_size = arguments.get("kernel_size", 3)
    plain = PLAIN[dims](4, 6, kernel_size, groups=2, dtype=torch.float64)
    after = torch.rand(())
    gain = gain_of(dims, arguments)
    for init_scale in (1.0, 1.5, 0.3):
        options = {**arguments, "groups": 2, "init_scale": init_scale, "dtype": torch.float64}
        torch.manual_seed(7)
        layer = LAYERS[dims](4, 6, **options)
        assert torch.equal(torch.rand(()), after), init_scale
        torch.testing.assert_close(layer.weight * gain / init_scale, plain.weight)
        assert torch.equal(layer.bias, plain.bias), init_scale
        torch.manual_seed(7)
        before = layer.weight.detach().clone()
        layer.reset_parameters()
        assert torch.equal(layer.weight, before), init_scale
