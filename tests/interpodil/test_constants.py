"""A layer's constants: made anew where they are stale, and tents put in the place of its own."""

import copy

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
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


@pytest.mark.parametrize("settings", EVERY_KIND, ids=str)
def test_a_real_layer_among_fake_tensors(settings):
    layer, x = trained(settings), image()
    expected = layer(x)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = layer(mode.from_tensor(x))
        assert fake.shape == expected.shape
        fakes = {name: mode.from_tensor(p).double() for name, p in layer.named_parameters()}
        assert functional_call(layer, fakes, mode.from_tensor(x).double()).dtype == torch.float64
    assert_same(layer(x), expected)


@pytest.mark.parametrize("settings", [*FIXED, *LEARNED], ids=str)
def test_buffers_that_a_subclass_adds(settings):
    """A cast looks at the layer's own buffers alone."""
    layer = InterpodilConv2d(2, 3, padding=1, **settings)
    layer._buffers = {"calls": torch.zeros(1), **layer._buffers}
    x = image()
    assert_same(layer.to(torch.float64)(x.double()), copy.deepcopy(layer).double()(x.double()))
    layer.register_buffer("steps", torch.zeros((), dtype=torch.int64))
    assert layer.float()(x).dtype == torch.float32


@pytest.mark.parametrize(
    ("settings", "dims"),
    [*((settings, 2) for settings in FIXED), (FIXED[0], 1), (FIXED[5], 3)],
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

    def call(self, tent, x=None, **others):
        return functional_call(self.layer, {"fixed_tent": tent, **others}, self.given(x))

    def expected(self, tent, x=None):
        layer = self.layer
        return CONVOLUTIONS[layer.dims](
            self.given(x),
            layer.weight,
            layer.bias,
            padding=1,
            dilation=layer.dilation,
            fade=layer.fade,
            growth=layer.growth,
            tent=tent.unflatten(-1, layer.tent.shape),
            algorithm="expanded",
        )

    def given(self, x):
        return self.x if x is None else x

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
    def test_gradients(self, needs_gradient):
        results = []
        for function in (self.call, self.expected):
            tent = self.tents[0].clone().requires_grad_()
            x = self.x.clone().requires_grad_(needs_gradient)
            leaves = [tent, self.layer.weight, self.layer.bias, *([x] if needs_gradient else [])]
            results.append(torch.autograd.grad(function(tent, x).square().sum(), leaves))
        for actual, expected in zip(*results, strict=True):
            assert_near(actual, expected)

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
        assert_near(grad(lambda t: vmap(self.call)(t).square().sum())(tents), slopes)
        leaves = tents.clone().requires_grad_()
        total = vmap(self.call)(leaves).square().sum()
        assert_near(torch.autograd.grad(total, leaves)[0], slopes)


def test_another_tent_stays_through_casts():
    layer, x = InterpodilConv2d(2, 3, padding=1, fade=0.5), image()
    tent = torch.rand(9)
    layer.fixed_tent = tent
    expected = layer(x)
    torch.testing.assert_close(layer.double()(x.double()).float(), expected)


def test_all_directions_at_once():
    """Forward over backward, with the bias alone too."""
    layer = InterpodilConv2d(2, 2, padding=1, dtype=torch.float64)
    x = draw(1, 2, 5, 6)
    tent, bias = layer.fixed_tent, layer.bias.detach()

    def slopes(tent, bias, algorithm="tent_first"):
        layer.algorithm = algorithm
        others = {"fixed_tent": tent, "bias": bias}
        return grad(lambda x: functional_call(layer, others, x).pow(3).sum())(x)

    for of_tent, of_bias in [(1, 1), (1, 0), (0, 1)]:
        tangents = (of_tent * draw(*tent.shape), of_bias * draw(*bias.shape))
        actual = jvp(slopes, (tent, bias), tangents)[1]
        expected = jvp(lambda t, b: slopes(t, b, "expanded"), (tent, bias), tangents)[1]
        assert_near(actual, expected)


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


def test_weights_of_less_precision():
    layer, x = InterpodilConv2d(2, 3, growth=5), torch.randn(1, 2, 9, 9)
    weights = {name: value.bfloat16() for name, value in layer.named_parameters()}
    output = functional_call(layer, weights, x.bfloat16())
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.float(), layer(x), rtol=0.05, atol=0.05)
