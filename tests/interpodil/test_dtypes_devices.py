"""Dtypes, devices, memory formats, and layers that are moved, copied and stored."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn

from interpodil import InterpodilConv2d, effective_kernel, expansion_tensor, interpodil_conv2d

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
TOLERANCES = {
    torch.float64: {"rtol": 1e-12, "atol": 1e-12},
    torch.float32: {"rtol": 1e-4, "atol": 1e-4},
    torch.float16: {"rtol": 2e-2, "atol": 2e-2},
    torch.bfloat16: {"rtol": 1e-1, "atol": 1e-1},
}
# Coefficients that no binary fraction holds.
UNEVEN = {"fade": 1.7, "edge": 0.3, "corner": 0.1}


def exact(layer):
    return expansion_tensor(
        layer.kernel_size,
        layer.dilation,
        layer.fade,
        layer.growth,
        layer.edge,
        layer.corner,
        device=layer.weight.device,
        dtype=layer.weight.dtype,
    )


def assert_exact(layer, dtype, device="cpu"):
    for tensor in (layer.weight, layer.expansion):
        assert (tensor.dtype, tensor.device.type) == (dtype, device)
    assert torch.equal(layer.expansion, exact(layer))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_against_double_precision(random_tensor, dtype, device):
    layer = InterpodilConv2d(3, 4, padding=1, device=device, dtype=dtype, **UNEVEN)
    assert_exact(layer, dtype, device)
    x = random_tensor(2, 3, 9, 8, dtype=dtype)
    weight, bias = layer.weight.detach().cpu().double(), layer.bias.detach().cpu().double()
    expected = interpodil_conv2d(x.double(), weight, bias, padding=1, **UNEVEN)
    actual = layer(x.to(device))
    assert actual.dtype == dtype
    torch.testing.assert_close(actual.cpu().double(), expected, **TOLERANCES[dtype])


def test_complex():
    layer = InterpodilConv2d(2, 3, padding=1, dtype=torch.complex128)
    x = torch.randn(1, 2, 6, 6, dtype=torch.complex128)
    real, imaginary = (effective_kernel(part) for part in (layer.weight.real, layer.weight.imag))
    torch.testing.assert_close(layer.effective_kernel(), torch.complex(real, imaginary))
    assert layer(x).dtype == torch.complex128


@pytest.mark.parametrize(
    "move",
    [
        lambda layer: layer.double(),
        lambda layer: layer.half().double(),
        lambda layer: layer.to(torch.float64),
        lambda layer: nn.Sequential(layer).double()[0],
        lambda layer: copy.deepcopy(layer).double(),
        lambda layer: layer.type(torch.float64),
    ],
)
def test_a_cast_is_exact(move):
    layer = move(InterpodilConv2d(2, 3, dtype=torch.float32, **UNEVEN))
    assert_exact(layer, torch.float64)
    assert layer.expansion.float().double().ne(layer.expansion).any()


def test_default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        assert_exact(InterpodilConv2d(2, 3, **UNEVEN), torch.float64)
        single = InterpodilConv2d(2, 3, dtype=torch.float32, **UNEVEN)
        assert_exact(single, torch.float32)
        assert effective_kernel(torch.ones(1, 1, 3, 3, dtype=torch.float32)).dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


def test_to_empty_fills_the_expansion():
    layer = InterpodilConv2d(2, 3, padding=1, device="meta", **UNEVEN)
    assert layer.expansion.is_meta
    assert layer(torch.empty(1, 2, 6, 6, device="meta")).shape == (1, 3, 6, 6)
    layer.to_empty(device="cpu")
    assert_exact(layer, torch.float32)
    with torch.no_grad():
        layer.expansion.fill_(torch.nan)
    layer.to_empty(device="cpu")
    assert_exact(layer, torch.float32)


def test_skip_init():
    layer = nn.utils.skip_init(InterpodilConv2d, 2, 3, **UNEVEN)
    assert_exact(layer, torch.float32)


def test_loading_by_assignment_from_meta():
    layer = InterpodilConv2d(2, 3, device="meta", **UNEVEN)
    source = InterpodilConv2d(2, 3, dtype=torch.float64, **UNEVEN)
    nn.Sequential(layer).load_state_dict(nn.Sequential(source).state_dict(), assign=True)
    assert_exact(layer, torch.float64)


def test_other_parameters_than_its_own(random_tensor):
    layer = InterpodilConv2d(2, 3, **UNEVEN)
    x = random_tensor(1, 2, 6, 6)
    doubles = {name: value.detach().double() for name, value in layer.named_parameters()}
    actual = torch.func.functional_call(layer, doubles, (x,))
    expected = interpodil_conv2d(x, doubles["weight"], doubles["bias"], **UNEVEN)
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)
    assert_exact(layer, torch.float32)


@pytest.mark.parametrize("default", ["meta", "cpu"])
def test_default_device_is_left_alone(default):
    torch.set_default_device(default)
    try:
        layer = InterpodilConv2d(2, 3, padding=1, device="cpu", **UNEVEN)
        assert_exact(layer, torch.float32)
        x = torch.ones(1, 2, 6, 6, device="cpu")
        assert layer(x).device.type == "cpu"
        assert_exact(layer.double(), torch.float64)
        assert effective_kernel(layer.weight).device.type == "cpu"
        assert InterpodilConv2d(2, 3).expansion.device.type == default
    finally:
        torch.set_default_device(None)


@pytest.mark.parametrize("device", DEVICES)
def test_autocast(device):
    layer = InterpodilConv2d(3, 4, padding=1, device=device, **UNEVEN)
    x = torch.randn(2, 3, 8, 8, device=device)
    with torch.autocast(device, torch.bfloat16):
        assert layer.effective_kernel().dtype == torch.float32
        assert torch.equal(layer.effective_kernel(), effective_kernel(layer.weight, **UNEVEN))
        output = layer(x)
    assert torch.equal(layer.effective_kernel(), effective_kernel(layer.weight, **UNEVEN))
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.float(), layer(x), **TOLERANCES[torch.bfloat16])
    output.sum().backward()
    assert layer.weight.grad.dtype == torch.float32


@pytest.mark.parametrize("padding_mode", ["zeros", "reflect"])
@pytest.mark.parametrize("kernel_size", [2, 3])
def test_channels_last(kernel_size, padding_mode):
    arguments = {"kernel_size": kernel_size, "padding": 1, "padding_mode": padding_mode}
    layer = InterpodilConv2d(3, 4, **arguments, dtype=torch.float64)
    x = torch.randn(2, 3, 8, 9, dtype=torch.float64)
    expected = layer(x)
    last = x.to(memory_format=torch.channels_last)
    for _ in range(2):
        output = layer(last)
        assert output.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(output, expected)
        layer.to(memory_format=torch.channels_last)
        assert layer.weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("growth", [None, 5])
def test_copies_and_pickles(growth):
    layer = InterpodilConv2d(2, 3, padding=1, growth=growth, **UNEVEN)
    x = torch.randn(1, 2, 6, 6)
    stored = io.BytesIO()
    torch.save(layer, stored)
    stored.seek(0)
    for twin in (
        copy.deepcopy(layer),
        pickle.loads(pickle.dumps(layer)),
        torch.load(stored, weights_only=False),
    ):
        assert repr(twin) == repr(layer)
        assert torch.equal(twin(x), layer(x))
        with torch.no_grad():
            twin.weight.zero_()
        assert layer.weight.any()


def test_shared_memory_is_kept():
    layer = InterpodilConv2d(2, 3, **UNEVEN).share_memory()
    assert layer.weight.is_shared()
    assert layer.expansion.is_shared()
