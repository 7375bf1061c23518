"""Settings for which another known operation gives the same numbers."""

import copy
import itertools

import pytest
import torch

from interpodil import (
    InterpodilConv3d,
    effective_kernel,
)
from tests.interpodil.kinds import LAYERS, PLAIN

SIZE = (8, 9, 7)


def outer(axis, dims):
    product = axis
    for _ in range(dims - 1):
        product = product[..., None] * axis
    return product


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_known_kernels(dims):
    ones = torch.ones(1, 1, *(3,) * dims, dtype=torch.float64)
    axis = torch.tensor([0.5, 1, 1, 1, 1, 1, 0.5]).double()
    torch.testing.assert_close(effective_kernel(ones)[0, 0], outer(axis, dims), rtol=0, atol=0)
    # A fade of 3 falls from the outermost taps by a quarter per pixel.
    axis = torch.tensor([0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25]).double()
    long = effective_kernel(ones, fade=3)[0, 0]
    torch.testing.assert_close(long, outer(axis, dims), rtol=0, atol=0)


def test_one_tap_is_the_tent():
    one = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    e, c = 0.3, 0.7
    expected = torch.tensor([[c, e, c], [e, 1, e], [c, e, c]], dtype=torch.float64)
    torch.testing.assert_close(effective_kernel(one, edge=e, corner=c)[0, 0], expected)
    cube = effective_kernel(one[..., None], edge=e, corner=c)[0, 0]
    torch.testing.assert_close(cube[1], expected)
    knots = torch.tensor([e, c, e * c], dtype=torch.float64)
    torch.testing.assert_close(torch.stack([cube[0, 1, 1], cube[0, 0, 1], cube[0, 0, 0]]), knots)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("arguments", [{"growth": 3}, {"fade": 0}, {"fade": 2, "growth": 3}])
def test_dilation_one_is_the_plain_convolution(arguments, dims):
    algorithms = ["auto", "expanded", "tent_first", "separable_tent", "axis_first"]
    for padding_mode, algorithm in itertools.product(["zeros", "reflect"], algorithms):
        options = {"padding_mode": padding_mode, "algorithm": algorithm, **arguments}
        layer = LAYERS[dims](3, 4, 3, 2, 1, 1, edge=0.9, corner=0.8, **options)
        plain = PLAIN[dims](3, 4, 3, 2, 1, padding_mode=padding_mode)
        plain.load_state_dict(layer.state_dict())
        x = torch.randn(2, 3, *SIZE[:dims])
        assert torch.equal(layer(x), plain(x)), options
        assert torch.equal(layer.effective_kernel(), plain.weight), options


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_state_dicts_are_those_of_a_plain_convolution(dims):
    plain, layer = PLAIN[dims](4, 6, 3, groups=2), LAYERS[dims](4, 6, 3, groups=2)
    assert list(layer.state_dict()) == list(plain.state_dict()) == ["weight", "bias"]
    layer.load_state_dict(plain.state_dict())
    for name, value in plain.state_dict().items():
        assert torch.equal(layer.state_dict()[name], value)
    expected = effective_kernel(plain.weight)
    torch.testing.assert_close(layer.effective_kernel(), expected, rtol=0, atol=0)
    plain.load_state_dict(LAYERS[dims](4, 6, 3, groups=2).state_dict())
    assert not torch.equal(layer.weight, plain.weight)


def test_a_padded_kernel_nearly_as_deep_as_its_input():
    """PyTorch's own weight gradients are wrong there, in 3-D, in single precision, on CPUs."""
    x = torch.randn(1, 2, 6, 9, 9)
    layer = InterpodilConv3d(2, 2, 3, stride=2, padding=1, fade=2.0, corner=0.1)
    twin = copy.deepcopy(layer).double()

    layer(x).square().sum().backward()
    twin(x.double()).square().sum().backward()

    torch.testing.assert_close(layer.weight.grad.double(), twin.weight.grad, rtol=1e-4, atol=1e-3)
