"""The expansion's gain, taken out of the initial weights or of every pass."""

import copy

import pytest
import torch
from torch import nn

from interpodil import (
    InterpodilConv2d,
    LazyInterpodilConv2d,
    convert,
    dirac_,
    effective_kernel,
    expansion_gain,
    fold,
    interpodil_conv2d,
    lsuv_,
)
from tests.interpodil.kinds import LAYERS, assert_near

# Dimensions, input channels (which choose the special ways of computing) and settings.
SETTINGS = [
    (1, 2, {}),
    (1, 16, {"fade": 2.5, "gain_of": "constant"}),
    (2, 3, {}),
    (2, 16, {"gain_of": "constant"}),
    (2, 32, {"dilation": 4}),
    (2, 3, {"fade": 3, "gain_of": 0.7}),
    (2, 3, {"growth": 5, "corner": 0.1}),
    (2, 3, {"dilation": (1, 2), "fade": (0, 1), "kernel_size": (5, 3)}),
    (2, 3, {"dilation": 1, "fade": 0, "gain_of": 1.5}),
    (2, 3, {"tent": "gaussian", "dilation": 3, "learn_tent": "layer"}),
    (2, 4, {"learn_tent": "channel", "fade": 1.5}),
    (3, 2, {"gain_of": "constant"}),
]


def test_known_gains_of_a_constant_image():
    assert expansion_gain(3, 2, of="constant") == 4
    assert expansion_gain(3, 2, 0, of="constant") == pytest.approx(17 / 6)
    assert expansion_gain(3, 1, 0, of="constant") == 1
    assert expansion_gain(3, 2, of="constant", dims=1) == 2


@pytest.mark.parametrize(("dims", "channels", "options"), SETTINGS)
def test_every_algorithm_divides_by_the_gain(dims, channels, options):
    """The output is that of the same weights without the gain, over the gain."""
    options = {"padding": 1, "bias": False, **options}
    of = options.get("gain_of", "white")
    shape = {
        k: v for k, v in options.items() if k not in ("padding", "bias", "gain_of", "learn_tent")
    }
    gain = expansion_gain(**shape, of=of, dims=dims) if isinstance(of, str) else of
    layer = LAYERS[dims](channels, 4, **options, gain="forward", dtype=torch.float64)
    without = LAYERS[dims](channels, 4, **options, dtype=torch.float64)
    # Checkpoints do not hold the gain.
    without.load_state_dict(layer.state_dict())
    few, many = (torch.randn(n, channels, *[12] * dims, dtype=torch.float64) for n in (1, 3))
    tried = 0
    for algorithm in ("auto", "expanded", "tent_first", "separable_tent", "axis_first"):
        try:
            layer.algorithm = algorithm
        except ValueError:
            continue
        tried += 1
        for x in (few, many, many.clone().requires_grad_()):
            assert_near(layer(x), without(x) / gain, message=algorithm)
    assert tried >= 2
    assert_near(layer.effective_kernel(), without.effective_kernel() / gain)
    assert_near(fold(layer)(many), layer(many))
    assert_near(layer.tent, without.tent)
    assert_near(layer.float()(many.float()), without(many) / gain, torch.float32)


@pytest.mark.parametrize("of", ["white", "constant"])
@pytest.mark.parametrize("gain", ["init", "forward"])
def test_scale_of_signal_and_gradients(gain, of):
    """Signals have a plain convolution's scale in both modes, gradients in `forward` alone."""
    torch.manual_seed(0)
    plain = nn.Conv2d(32, 64, 3, padding=1, bias=False)
    torch.manual_seed(0)
    layer = InterpodilConv2d(32, 64, padding=1, bias=False, gain=gain, gain_of=of)
    expected = plain.weight if gain == "forward" else plain.weight / expansion_gain(of=of)
    torch.testing.assert_close(layer.weight, expected)
    x = torch.randn(8, 32, 24, 24)
    if of == "constant":
        x = x[..., :1, :1].expand(x.shape)
    inside = (..., slice(4, -4), slice(4, -4))
    ratio = layer(x)[inside].std() / plain(x)[inside].std()
    assert ratio.item() == pytest.approx(1, rel=0.08)
    factors = torch.randn(8, 64, 24, 24)
    if of == "constant":
        factors = factors[..., :1, :1].expand(factors.shape)
    (wide,) = torch.autograd.grad((layer(x) * factors)[inside].sum(), layer.weight)
    (narrow,) = torch.autograd.grad((plain(x) * factors)[inside].sum(), plain.weight)
    wanted = 1 if gain == "forward" else expansion_gain(of=of)
    assert (wide.norm() / narrow.norm()).item() == pytest.approx(wanted, rel=0.08)


def test_functional_form():
    layer = InterpodilConv2d(3, 4, padding=1, edge=0.3, corner=0.09, gain="forward")
    gain = expansion_gain(edge=0.3, corner=0.09)
    x = torch.randn(2, 3, 9, 9)
    options = {"edge": 0.3, "corner": 0.09, "gain": gain}
    output = interpodil_conv2d(x, layer.weight, layer.bias, padding=1, **options)
    assert_near(output, layer(x))
    assert_near(effective_kernel(layer.weight, **options), layer.effective_kernel())
    # A tent that replaces the layer's is divided as well.
    twice = torch.func.functional_call(layer, {"fixed_tent": layer.fixed_tent.clone()}, x)
    assert_near(twice, layer(x))


def test_conversion_keeps_the_plain_weights():
    plain = nn.Conv2d(3, 8, 3, padding=1)
    before = plain.weight.detach().clone()
    layer = convert(plain, gain="forward", keep_variance=True).model
    assert torch.equal(layer.weight, before)
    assert layer.gain == "forward"
    assert layer.gain_of == "white"
    assert "gain='forward'" in repr(layer)
    layer = convert(nn.Conv2d(3, 8, 3, padding=1), gain="forward", gain_of="constant").model
    assert "gain_of='constant'" in repr(copy.deepcopy(layer))


def test_initializations_and_lazy_layers():
    layer = LazyInterpodilConv2d(3, padding=1, gain="forward", gain_of="constant")
    x = torch.rand(2, 3, 16, 16)
    layer(x)
    torch.testing.assert_close(layer.effective_kernel().sum((2, 3)), layer.weight.sum((2, 3)))
    lsuv_(layer, x)
    output = layer(x) - layer.bias.view(-1, 1, 1)
    assert output.std(correction=0).item() == pytest.approx(1, rel=1e-4)
    dirac_(layer)
    torch.testing.assert_close(
        layer(torch.ones(1, 3, 9, 9))[..., 3:-3, 3:-3], torch.ones(1, 3, 3, 3)
    )
