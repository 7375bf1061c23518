"""Dtypes, autocast and devices."""

import copy
import math

import pytest
import torch
from torch import nn

from interpodil import (
    InterpodilConv2d,
    effective_kernel,
)
from tests.interpodil.kinds import LAYERS, assert_near, draw

DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    ),
]
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
# Coefficients that no binary fraction holds, and paths they leave open.
UNEVEN = {"fade": 1.7, "edge": 0.3, "corner": 0.1}
SETTINGS = [
    UNEVEN,
    {"edge": 0.3, "corner": 0.1, "algorithm": "expanded"},
    {"edge": 0.3, "corner": 0.1, "algorithm": "tent_first"},
    {"tent": "cosine", "algorithm": "separable_tent"},
    {"tent": "gaussian", "fade": 1.7, "algorithm": "axis_first"},
    {"edge": 0.3, "corner": 0.1, "learn_tent": "channel"},
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_against_double_precision(dims, dtype, device):
    # No sum is over more than both channels of all pixels, few enough to tell in low precision.
    channels, size = 2, (6, 5, 4)[:dims]
    terms = channels * math.prod(size)
    for settings in SETTINGS:
        case = {"padding": 1, **settings}
        layer = LAYERS[dims](channels, channels, device=device, dtype=dtype, **case)
        twin = LAYERS[dims](channels, channels, dtype=torch.float64, **case)
        twin.load_state_dict(layer.state_dict())
        assert layer.weight.dtype == dtype
        assert layer.weight.device.type == device

        def near(actual, expected, name, case=case):
            message = f"{name} of {case}"
            assert actual.dtype == dtype, message
            assert actual.device.type == device, message
            assert_near(actual, expected, message=message, terms=terms)

        x = draw(1, channels, *size, dtype=dtype)
        inputs = [x.clone().to(device).requires_grad_(), x.double().clone().requires_grad_()]
        actual, expected = layer(inputs[0]), twin(inputs[1])
        near(actual, expected, "output")
        factors = draw(*expected.shape, dtype=dtype)
        actual.backward(factors.to(device))
        expected.backward(factors.double())
        near(inputs[0].grad, inputs[1].grad, "input")
        twins = dict(twin.named_parameters())
        for name, parameter in layer.named_parameters():
            near(parameter.grad, twins[name].grad, name)


def test_complex():
    layer = InterpodilConv2d(2, 3, padding=1, dtype=torch.complex128)
    x = torch.randn(1, 2, 6, 6, dtype=torch.complex128)
    real, imaginary = (effective_kernel(part) for part in (layer.weight.real, layer.weight.imag))
    torch.testing.assert_close(layer.effective_kernel(), torch.complex(real, imaginary))
    assert layer(x).dtype == torch.complex128
    expected = nn.functional.conv2d(x, layer.effective_kernel(), layer.bias, padding=3)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("path", ["expanded", "tent_first", "separable_tent", "axis_first"])
def test_complex_layers_train(path):
    layer = InterpodilConv2d(1, 2, padding=1, algorithm=path, dtype=torch.complex128)
    x = torch.randn(1, 1, 5, 4, dtype=torch.complex128, requires_grad=True)
    weights = tuple(layer.parameters())
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, *weights), fast_mode=True)


@pytest.mark.parametrize("needs_gradient", [False, True])
def test_autocast_leaves_double_precision_alone(needs_gradient):
    layer = InterpodilConv2d(2, 2, padding=1, dtype=torch.float64)
    x = torch.randn(1, 2, 6, 6, dtype=torch.float64, requires_grad=needs_gradient)
    expected = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x), expected)


@pytest.mark.parametrize(
    "move",
    [
        lambda layer: nn.Sequential(layer).double()[0],
        lambda layer: copy.deepcopy(layer).to(torch.float64),
    ],
)
@pytest.mark.parametrize("settings", [UNEVEN, *SETTINGS[2:5]])
def test_a_layer_cast_later_is_one_built_in_that_dtype(settings, move):
    single = InterpodilConv2d(2, 3, dtype=torch.float32, **settings)
    weights = {name: value.double() for name, value in single.state_dict().items()}
    layer = move(single)
    built = InterpodilConv2d(2, 3, dtype=torch.float64, **settings)
    built.load_state_dict(weights)
    x = draw(1, 2, 9, 9)
    torch.testing.assert_close(layer(x), built(x), rtol=0, atol=0)
    torch.testing.assert_close(layer.effective_kernel(), built.effective_kernel(), rtol=0, atol=0)


@pytest.mark.parametrize("settings", SETTINGS)
def test_default_dtype(settings):
    torch.set_default_dtype(torch.float64)
    try:
        layer = InterpodilConv2d(2, 3, **settings)
        assert {p.dtype for p in layer.parameters()} == {torch.float64}
        assert layer(torch.ones(1, 2, 9, 9)).dtype == torch.float64
        single = InterpodilConv2d(2, 3, dtype=torch.float32, **settings)
        assert {p.dtype for p in single.parameters()} == {torch.float32}
        assert single(torch.ones(1, 2, 9, 9, dtype=torch.float32)).dtype == torch.float32
        assert effective_kernel(torch.ones(1, 1, 3, 3, dtype=torch.float32)).dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("default", ["meta", "cpu"])
def test_default_device_is_left_alone(default, settings):
    torch.set_default_device(default)
    try:
        layer = InterpodilConv2d(2, 3, padding=1, device="cpu", **settings)
        x = torch.ones(1, 2, 6, 6, device="cpu")
        assert layer(x).device.type == "cpu"
        assert layer.double()(x.double()).device.type == "cpu"
        assert layer.effective_kernel().device.type == "cpu"
        assert effective_kernel(layer.weight).device.type == "cpu"
        assert InterpodilConv2d(2, 3, **settings).weight.device.type == default
    finally:
        torch.set_default_device(None)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("device", DEVICES)
def test_autocast(device, settings):
    layer = InterpodilConv2d(3, 4, padding=1, device=device, **settings)
    x = torch.randn(2, 3, 8, 8, device=device).requires_grad_()
    expected = layer(x)
    expected.square().sum().backward()
    grads = {name: p.grad for name, p in layer.named_parameters()} | {"input": x.grad}
    layer.zero_grad()
    x.grad = None
    with torch.autocast(device, torch.bfloat16):
        assert layer.effective_kernel().dtype == torch.float32
        output = layer(x)
    assert output.dtype == torch.bfloat16
    # No sum is over more than four channels of 8x8 pixels.
    assert_near(output, expected, terms=256)
    output.float().square().sum().backward()
    for name, leaf in [*layer.named_parameters(), ("input", x)]:
        assert leaf.grad.dtype == torch.float32
        assert_near(leaf.grad, grads[name], torch.bfloat16, message=name, terms=256)


@pytest.mark.parametrize("device", DEVICES)
def test_autocast_takes_inputs_of_either_dtype(device):
    layer = InterpodilConv2d(3, 4, padding=1, device=device)
    x = torch.randn(2, 3, 8, 8, device=device)
    with torch.autocast(device, torch.bfloat16):
        torch.testing.assert_close(layer(x.bfloat16()), layer(x), rtol=0.05, atol=0.05)
        chained = nn.Sequential(layer, nn.ReLU(), InterpodilConv2d(4, 2, device=device))
        assert chained(x).dtype == torch.bfloat16


@pytest.mark.parametrize("settings", SETTINGS)
def test_meta_device(settings):
    layer = InterpodilConv2d(2, 3, padding=1, device="meta", **settings)
    assert layer(torch.empty(1, 2, 6, 6, device="meta")).shape == (1, 3, 6, 6)
    assert layer.effective_kernel().is_meta
    layer.to_empty(device="cpu")
    for tensor in (*layer.parameters(), *layer.buffers()):
        with torch.no_grad():
            tensor.fill_(torch.nan)
    layer.to_empty(device="cpu")
    source = InterpodilConv2d(2, 3, padding=1, **settings)
    layer.load_state_dict(source.state_dict())
    x = draw(1, 2, 8, 8, dtype=torch.float32)
    torch.testing.assert_close(layer(x), source(x), rtol=0, atol=0)
