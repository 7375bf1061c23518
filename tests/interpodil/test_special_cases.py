"""Settings for which another known operation gives the same numbers."""

import copy
import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from interpodil import (
    InterpodilConv1d,
    InterpodilConv2d,
    InterpodilConv3d,
    effective_kernel,
)

PLAIN = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
LAYERS = {1: InterpodilConv1d, 2: InterpodilConv2d, 3: InterpodilConv3d}
SIZE = (8, 9, 7)
EXACT = {"rtol": 1e-12, "atol": 1e-12}


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
@pytest.mark.parametrize("dilation", [2, 3])
def test_unstretched_tent_is_a_transposed_convolution(random_tensor, dilation, dims):
    spread = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}[dims]
    weight = random_tensor(2, 3, *(3,) * dims)
    tent = random_tensor(*(2 * dilation - 1,) * dims)
    tent[(dilation - 1,) * dims] = 1
    expected = spread(weight.flatten(0, 1)[:, None], tent[None, None], stride=dilation)
    actual = effective_kernel(weight, dilation, tent=tent)
    torch.testing.assert_close(actual, expected.reshape(actual.shape), **EXACT)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("kernel_size", [2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_empty_tent_is_the_dilated_convolution(random_tensor, kernel_size, stride, dims):
    window = 2 * kernel_size - 1
    layer = LAYERS[dims](
        3, 4, kernel_size, stride, growth=window, edge=0, corner=0, dtype=torch.float64
    )
    dilated = PLAIN[dims](3, 4, kernel_size, stride, dilation=2, dtype=torch.float64)
    dilated.load_state_dict(layer.state_dict())
    x, surplus = random_tensor(2, 3, *SIZE[:dims]), window - kernel_size
    sides = (surplus // 2, surplus - surplus // 2)
    torch.testing.assert_close(layer(x), dilated(F.pad(x, sides * dims)), **EXACT)


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


@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
@pytest.mark.parametrize("padding_mode", ["zeros", "circular"])
@pytest.mark.parametrize(("kernel_size", "dilation"), [(3, 2), (2, 2), (2, 3), (4, 1)])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_same_padding_is_that_of_the_effective_kernel(
    random_tensor, kernel_size, dilation, padding_mode, dims
):
    options = {"padding": "same", "padding_mode": padding_mode, "dtype": torch.float64}
    layer = LAYERS[dims](2, 3, kernel_size, dilation=dilation, **options)
    twin = PLAIN[dims](2, 3, layer.effective_size, **options)
    twin.load_state_dict({"weight": layer.effective_kernel(), "bias": layer.bias})
    x = random_tensor(1, 2, *SIZE[:dims])
    torch.testing.assert_close(layer(x), twin(x), **EXACT)


def test_growth_of_the_window_ignores_the_fade(random_tensor):
    weight = random_tensor(1, 1, 3, 3)
    kernels = [effective_kernel(weight, growth=5, fade=fade) for fade in (0, 1, 3.3)]
    torch.testing.assert_close(kernels[1], kernels[0], rtol=0, atol=0)
    torch.testing.assert_close(kernels[2], kernels[0], rtol=0, atol=0)


def test_growth_crops_both_ends(random_tensor):
    weight = random_tensor(1, 1, 3, 3)
    whole = effective_kernel(weight, fade=3.3)
    torch.testing.assert_close(effective_kernel(weight, fade=3.3, growth=9), whole[..., 2:-2, 2:-2])
    one_axis = effective_kernel(weight, fade=3.3, growth=(None, 9))
    torch.testing.assert_close(one_axis, whole[..., 2:-2])


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


@pytest.mark.parametrize("dims", [2, 3])
def test_axes_that_stay_alone_are_a_convolution_of_fewer_dimensions(random_tensor, dims):
    """A kernel of one pixel on the first axis acts on each slice along it."""
    weight = random_tensor(3, 2, *(3,) * (dims - 1))
    x = random_tensor(2, 2, *SIZE[:dims])
    layer = LAYERS[dims](
        2, 3, (1, *(3,) * (dims - 1)), fade=(0, *(1,) * (dims - 1)), bias=False, dtype=x.dtype
    )
    slices = LAYERS[dims - 1](2, 3, 3, bias=False, dtype=x.dtype)
    layer.load_state_dict({"weight": weight[:, :, None]})
    slices.load_state_dict({"weight": weight})
    expected = torch.stack([slices(part) for part in x.unbind(2)], 2)
    torch.testing.assert_close(layer(x), expected, **EXACT)


def test_a_padded_kernel_nearly_as_deep_as_its_input():
    """PyTorch's own weight gradients are wrong there, in 3-D, in single precision, on CPUs."""
    x = torch.randn(1, 2, 6, 9, 9)
    layer = InterpodilConv3d(2, 2, 3, stride=2, padding=1, fade=2.0, corner=0.1)
    twin = copy.deepcopy(layer).double()

    layer(x).square().sum().backward()
    twin(x.double()).square().sum().backward()

    torch.testing.assert_close(layer.weight.grad.double(), twin.weight.grad, rtol=1e-4, atol=1e-3)
