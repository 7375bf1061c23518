"""Outputs are laid out as the plain convolution's, inputs however they like."""

import itertools

import pytest
import torch

from interpodil import InterpodilConv2d
from tests.interpodil.kinds import LAYERS, PATHS, PLAIN, assert_near, draw


def formats(tensor):
    """The tensor as it is and with its channels innermost."""
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(tensor.dim())
    return [tensor] if last is None else [tensor, tensor.contiguous(memory_format=last)]


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("path", PATHS)
def test_memory_format_is_that_of_a_plain_convolution(path, dims):
    # Every pair of two of these occurs; layouts depend on how many channels there are.
    settings = [
        ("zeros", 1, 2, 2),
        ("zeros", 3, 3, 1),
        ("zeros", 20, 2, 1),
        ("reflect", 1, 3, 1),
        ("reflect", 3, 2, 2),
        ("reflect", 20, 3, 2),
        ("replicate", 20, 3, 1),
        ("circular", 3, 2, 1),
    ]
    for padding_mode, channels, kernel_size, stride in settings:
        options = {"padding": 1, "padding_mode": padding_mode, "stride": stride}
        layer = LAYERS[dims](channels, 4, kernel_size, algorithm=path, **options)
        plain = PLAIN[dims](channels, 4, kernel_size, **options)
        values = torch.randn(2, channels, *(8, 9, 7)[:dims])
        results = []
        for x, weight in itertools.product(formats(values), formats(layer.weight.detach())):
            layer.weight.data, plain.weight.data = weight, weight.clone()
            output = layer(x)
            case = (padding_mode, channels, kernel_size, stride, x.stride(), weight.stride())
            assert output.stride() == plain(x).stride(), case
            results.append(output)
        for output in results[1:]:
            torch.testing.assert_close(output, results[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"tent": "cosine"}, {"learn_tent": "channel"}])
@pytest.mark.parametrize("dims", [2, 3])
def test_a_layer_moves_to_channels_last(dims, settings):
    last = {2: torch.channels_last, 3: torch.channels_last_3d}[dims]
    layer = LAYERS[dims](3, 4, 3, padding=1, **settings)
    x = torch.randn(2, 3, *(8, 9, 7)[:dims])
    expected = layer(x)
    layer.to(memory_format=last)
    assert layer.weight.is_contiguous(memory_format=last)
    output = layer(x.to(memory_format=last))
    assert output.is_contiguous(memory_format=last)
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("path", PATHS)
def test_inputs_of_any_strides(path):
    base = draw(2, 4, 18, 20)
    layer = InterpodilConv2d(4, 3, padding=1, algorithm=path, dtype=torch.float64)
    sliced = [
        base[:, :, ::2, 1::2],
        base[..., 2:11, 3:14],
        base.transpose(2, 3),
        base[:1].expand(3, -1, -1, -1),
    ]
    for x in sliced:
        assert_near(layer(x), layer(x.contiguous()))
