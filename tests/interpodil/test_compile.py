"""The layer and the function in one graph under `torch.compile`."""

import pytest
import torch

from interpodil import InterpodilConv2d, interpodil_conv2d


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.filterwarnings("error:.*lru_cache.*")
def test_function():
    def convolution(x, weight):
        return interpodil_conv2d(x, weight, padding=1, stride=2, fade=1.5, growth=7)

    x, weight = torch.randn(2, 3, 9, 9), torch.randn(4, 3, 3, 3, requires_grad=True)
    compiled = torch.compile(convolution, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, weight), convolution(x, weight))
    compiled(x, weight).sum().backward()
    assert weight.grad.any()


@pytest.mark.parametrize(
    "arguments", [{"padding": 1}, {"kernel_size": 2, "padding_mode": "circular"}]
)
def test_module(arguments):
    layer = InterpodilConv2d(3, 4, **arguments)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    for size in (9, 12):
        x = torch.randn(2, 3, size, size)
        torch.testing.assert_close(compiled(x), layer(x))


def test_module_under_autocast():
    layer = InterpodilConv2d(3, 4, padding=1)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    x = torch.randn(2, 3, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        output, expected = compiled(x), layer(x)
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output, expected)


def test_inductor():
    layer = InterpodilConv2d(2, 2, padding=1)
    x = torch.randn(1, 2, 6, 6)
    compiled = torch.compile(layer, fullgraph=True)
    with torch.no_grad():
        output = compiled(x)
    torch.testing.assert_close(output, layer(x), rtol=1e-4, atol=1e-4)


def test_export():
    layer = InterpodilConv2d(2, 3, padding=1)
    x = torch.randn(1, 2, 6, 6)
    exported = torch.export.export(layer, (x,)).module()
    torch.testing.assert_close(exported(x), layer(x))
