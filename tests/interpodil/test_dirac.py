"""Dirac initialization: what can pass unchanged does, and what cannot is shown not to."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from interpodil import InterpodilConv2d, dirac_
from tests.interpodil.kinds import EXACT, LAYERS

TENTS = [
    {},
    {"growth": 5},
    {"fade": 2.5},
    {"dilation": 3},
    {"edge": 0.7, "corner": 0.1},
    {"edge": -0.1, "corner": 0.05},
    {"tent": "cosine"},
    {"tent": "gaussian", "kernel_size": 5},
    {"kernel_size": 1},
]


def layer_of(axes, channels=4, **arguments):
    k = arguments.get("kernel_size", 3)
    return LAYERS[axes](channels, channels, padding=k // 2, dtype=torch.float64, **arguments)


def inside(x, margin=8):
    return x[(..., *[slice(margin, -margin)] * (x.dim() - 2))]


@pytest.mark.parametrize(
    ("axes", "groups", "kernel_size", "padding_mode"),
    [
        (1, 1, 3, "zeros"),
        (1, 4, 5, "circular"),
        (2, 2, 5, "zeros"),
        (2, 1, 3, "circular"),
        (3, 4, 3, "zeros"),
        (3, 1, 5, "circular"),
    ],
)
def test_exact_identity_where_the_tent_leaves_the_taps_alone(
    axes, groups, kernel_size, padding_mode
):
    settings = {"groups": groups, "kernel_size": kernel_size, "padding_mode": padding_mode}
    layer = dirac_(layer_of(axes, edge=0.0, corner=0.0, **settings))
    x = torch.randn(2, 4, *[9] * axes, dtype=torch.float64)
    assert torch.equal(layer(x), x)


def test_a_plain_convolution_is_as_torch_makes_it():
    layer = dirac_(InterpodilConv2d(4, 6, dilation=1, fade=0, groups=2))
    assert torch.equal(layer.weight, nn.init.dirac_(torch.empty(6, 2, 3, 3), 2))


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("arguments", TENTS)
def test_constants_and_ramps_pass(axes, arguments):
    layer = dirac_(layer_of(axes, **arguments))
    size = 25
    ramp = torch.arange(size, dtype=torch.float64)
    slopes = (2.0, -3.0, 0.5)
    x = torch.full((1, 4, *[size] * axes), 7.0, dtype=torch.float64)
    for axis in range(axes):
        x += slopes[axis] * ramp.view(-1, *[1] * (axes - 1 - axis))
    x[:, 1] *= -1
    torch.testing.assert_close(inside(layer(x)), inside(x), **EXACT)


def test_what_is_no_ramp_is_smoothed():
    layer = dirac_(layer_of(2, channels=1))
    x = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
    x[..., 4, 4] = 1
    expected = torch.tensor([[1, 2, 1], [2, 4, 2], [1, 2, 1]], dtype=torch.float64) / 16
    torch.testing.assert_close(layer(x)[0, 0, 3:6, 3:6], expected, **EXACT)
    assert layer(x).sum().item() == pytest.approx(1.0)


@pytest.mark.parametrize(("channels_in", "channels_out"), [(4, 6), (6, 4)])
def test_unequal_channels_pass_what_fits(channels_in, channels_out):
    layer = InterpodilConv2d(
        channels_in, channels_out, padding=1, edge=0.0, corner=0.0, dtype=torch.float64
    )
    x = torch.randn(1, channels_in, 7, 7, dtype=torch.float64)
    output = dirac_(layer)(x)
    assert torch.equal(output[:, :4], x[:, :4])
    assert not output[:, 4:].any()


def test_each_channel_is_divided_by_the_sum_of_its_own_tent():
    layer = layer_of(2, learn_tent="channel", groups=2)
    nn.init.normal_(layer.raw_tent, 0.2, 0.2)
    tents = layer.raw_tent.detach().clone()
    dirac_(layer)
    assert torch.equal(layer.raw_tent, tents)
    x = torch.ones(1, 4, 17, 17, dtype=torch.float64)
    torch.testing.assert_close(inside(layer(x), 4), inside(x, 4), **EXACT)
    assert len(layer.weight.unique()) == 5


def test_the_layer_is_changed_in_place_and_returned():
    layer = InterpodilConv2d(3, 3)
    weight, bias = layer.weight, layer.bias
    assert dirac_(layer) is layer
    assert layer.weight is weight
    assert layer.bias is bias
    assert not bias.any()
    assert weight.requires_grad
    assert weight.grad is None
    assert dirac_(InterpodilConv2d(3, 3, bias=False)).bias is None


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (InterpodilConv2d(3, 3, (3, 2)), r"odd kernel sizes, got \(3, 2\)"),
        (InterpodilConv2d(3, 3, edge=-0.25, corner=0.0), "a tent with a sum other than 0"),
        (parametrizations.weight_norm(InterpodilConv2d(3, 3)), "got a computed one"),
    ],
)
def test_what_is_refused_is_not_changed(layer, message):
    before = copy.deepcopy(layer.state_dict())
    with pytest.raises(ValueError, match=f"^dirac_ needs .*{message}"):
        dirac_(layer)
    assert all(torch.equal(v, before[n]) for n, v in layer.state_dict().items())
