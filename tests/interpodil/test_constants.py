"""A layer's constants: made anew where they are stale, and tents put in the place of its own."""

import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, jvp, vmap

import interpodil
from interpodil import (
    InterpodilConv2d,
)
from tests.interpodil.kinds import CONVOLUTIONS, LAYERS, assert_near, draw

SIZE = (9, 8, 7)
FIXED = [
    {},
    {"growth": 5},
    {"fade": 1.7, "edge": 0.3, "corner": 0.1},
    {"algorithm": "expanded"},
    {"tent": "cosine", "dilation": 3, "algorithm": "separable_tent"},
    {"tent": "gaussian", "fade": 2.5, "algorithm": "axis_first"},
]
LEARNED = [
    {"learn_tent": True},
    {"learn_tent": True, "growth": 5},
    {"learn_tent": "channel", "fade": 1.7},
]
PLAIN = {"dilation": 1, "fade": 0}
EVERY_KIND = [*FIXED, *LEARNED, PLAIN]


def trained(settings, dims=2, dtype=torch.float32):
    """A layer whose parameters are no fresh layer's."""
    layer = LAYERS[dims](2, 3, padding=1, dtype=dtype, **settings)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return layer


def image(dims=2, dtype=torch.float32):
    return torch.randn(2, 2, *SIZE[:dims], dtype=dtype)


def assert_same(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


@pytest.mark.parametrize("settings", EVERY_KIND, ids=str)
def test_loading_by_assignment(settings):
    for dims in LAYERS:
        source = trained(settings, dims)
        x = image(dims)
        layer = LAYERS[dims](2, 3, padding=1, device="meta", **settings)
        layer.load_state_dict(source.state_dict(), assign=True)
        assert_same(layer(x), source(x))

        double = copy.deepcopy(source).double()
        layer = LAYERS[dims](2, 3, padding=1, **settings)
        layer.load_state_dict(double.state_dict(), assign=True)
        assert_same(layer(x.double()), double(x.double()))
        assert all(buffer.dtype == torch.float64 for buffer in layer.buffers()), dims


@pytest.mark.parametrize("settings", EVERY_KIND, ids=str)
def test_parameters_of_another_dtype(settings):
    for dims in LAYERS:
        layer = trained(settings, dims)
        x = image(dims)
        expected = layer(x)
        double = copy.deepcopy(layer).double()
        actual = functional_call(layer, dict(double.named_parameters()), x.double())
        assert_same(actual, double(x.double()))
        assert_same(layer(x), expected)


@pytest.mark.parametrize("settings", [FIXED[2], *LEARNED], ids=str)
def test_parameters_of_a_layer_without_values(settings):
    """Its buffers stay on the meta device, as nothing tells the layer of the call."""
    source, x = trained(settings), image()
    layer = InterpodilConv2d(2, 3, padding=1, device="meta", **settings)
    assert_same(functional_call(layer, dict(source.named_parameters()), x), source(x))


@pytest.mark.parametrize(
    ("settings", "dims"),
    [(FIXED[0], 2), (FIXED[2], 2), (FIXED[4], 2), (FIXED[0], 1), (FIXED[5], 3)],
    ids=str,
)
class TestAnotherTent:
    """What `functional_call` puts in the place of the tent is computed as the function does."""

    @pytest.fixture(autouse=True)
    def prepare(self, settings, dims):
        self.layer = LAYERS[dims](2, 3, padding=1, dtype=torch.float64, **settings)
        self.x = draw(2, 2, *SIZE[:dims])
        samples = self.layer.tent.numel()
        tents = draw(3, samples).tanh()
        tents[:, samples // 2] = 1
        self.tents, self.tangents = tents, draw(3, samples)

    def call(self, tent, **others):
        return functional_call(self.layer, {"fixed_tent": tent, **others}, self.x)

    def expected(self, tent):
        layer = self.layer
        return CONVOLUTIONS[layer.dims](
            self.x,
            layer.weight,
            layer.bias,
            padding=1,
            dilation=layer.dilation,
            fade=layer.fade,
            growth=layer.growth,
            tent=tent.unflatten(-1, layer.tent.shape),
            algorithm="expanded",
        )

    def test_output(self):
        tent = self.tents[0]
        assert_near(self.call(tent), self.expected(tent))
        own = dict(self.layer.named_buffers())
        assert_near(self.call(tent, **{**own, "fixed_tent": tent}), self.expected(tent))
        copies = {name: buffer.clone() for name, buffer in own.items()}
        assert_near(self.call(tent, **{**copies, "fixed_tent": tent}), self.expected(tent))
        assert_near(self.call(tent.float()), self.expected(tent.float().double()))
        assert_near(self.call(self.tents[:2]), self.expected(self.tents[:2]), message="channels")

    @pytest.mark.parametrize("needs_gradient", [False, True])
    def test_transforms(self, needs_gradient):
        self.x.requires_grad_(needs_gradient)
        tents, tangents = self.tents, self.tangents
        outputs = torch.stack([self.expected(tent) for tent in tents])
        assert_near(vmap(self.call)(tents), outputs)

        directions = [
            jvp(self.expected, (t,), (d,))[1] for t, d in zip(tents, tangents, strict=True)
        ]
        assert_near(jvp(self.call, (tents[0],), (tangents[0],))[1], directions[0])
        batched = vmap(lambda t, d: jvp(self.call, (t,), (d,))[1])(tents, tangents)
        assert_near(batched, torch.stack(directions))

        slopes = torch.stack([grad(lambda t: self.expected(t).square().sum())(t) for t in tents])
        assert_near(vmap(grad(lambda t: self.call(t).square().sum()))(tents), slopes)


@pytest.mark.parametrize("name", ["weight", "raw_tent"])
def test_parametrized(name):
    layer = InterpodilConv2d(2, 3, padding=1, learn_tent=True, growth=5)
    x = image()
    expected = layer(x)
    nn.utils.parametrize.register_parametrization(layer, name, nn.Identity())
    assert_same(layer(x), expected)
    layer(x).sum().backward()
    assert all(p.grad.any() for p in layer.parameters())
    torch.testing.assert_close(layer.double()(x.double()).float(), expected)


def test_device_and_dtype_stand_where_a_plain_convolution_has_them():
    arguments = (4, 3, 1, 1, 2, 1, True, "zeros", "meta", torch.float64)
    for dims, layer in LAYERS.items():
        weight = layer(2, *arguments).weight
        assert (weight.device.type, weight.dtype) == ("meta", torch.float64)
        lazy = getattr(interpodil, f"LazyInterpodilConv{dims}d")(*arguments)
        assert (lazy.weight.device.type, lazy.weight.dtype) == ("meta", torch.float64)
