"""Numbers: against the written-out reference, and against convolutions that must be equal."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from interpodil import (
    InterpodilConv2d,
    effective_kernel,
    effective_size,
    expansion_coefficients,
    interpodil_conv2d,
    tent,
)

FADES = [0, 0.5, 1, 1.7, 2, 3.3]
TENTS = [(0.5, 0.25), (0.3, 0.4), (0.0, 0.0), (-0.2, 1.5)]
EXACT = {"rtol": 1e-12, "atol": 1e-12}


def growths(kernel_size, dilation, fade):
    window = dilation * (kernel_size - 1) + 1
    return [None, *range(window, effective_size(kernel_size, dilation, fade) + 3, 2)]


@pytest.mark.parametrize("fade", FADES)
@pytest.mark.parametrize("dilation", [1, 2, 3, 4])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5])
def test_effective_kernel(reference, random_tensor, kernel_size, dilation, fade):
    weight = random_tensor(1, 1, kernel_size, kernel_size)
    for i, growth in enumerate(growths(kernel_size, dilation, fade)):
        edge, corner = TENTS[(i + 1) % len(TENTS)]
        shape = {"fade": fade, "growth": growth, "edge": edge, "corner": corner}
        expected = reference.effective_kernel(weight, (dilation, dilation), **shape)
        torch.testing.assert_close(effective_kernel(weight, dilation, **shape), expected, **EXACT)


@pytest.mark.parametrize(("edge", "corner"), TENTS)
def test_effective_kernel_per_axis(reference, random_tensor, edge, corner):
    weight = random_tensor(2, 3, 3, 2)
    shape = {"fade": 1.7, "edge": edge, "corner": corner}
    expected = reference.effective_kernel(weight, (2, 5), **shape)
    torch.testing.assert_close(effective_kernel(weight, (2, 5), **shape), expected, **EXACT)


@pytest.mark.parametrize("fade", FADES)
@pytest.mark.parametrize("dilation", [1, 2, 3, 4])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5])
def test_convolution(reference, random_tensor, kernel_size, dilation, fade):
    stride, padding = 1 + (kernel_size + dilation) % 5, (kernel_size - 1) // 2
    x, weight, bias = random_tensor(1, 8, 9), random_tensor(1, 1, kernel_size, kernel_size), None
    growth = growths(kernel_size, dilation, fade)[-2]
    expected = reference.conv2d(
        x,
        weight,
        bias,
        (stride, stride),
        (padding, padding),
        (dilation, dilation),
        fade=fade,
        growth=growth,
    )
    actual = interpodil_conv2d(x, weight, bias, stride, padding, dilation, fade=fade, growth=growth)
    torch.testing.assert_close(actual, expected, **EXACT)


@pytest.mark.parametrize("size", [(7, 7), (8, 7), (12, 9)])
@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("stride", [1, 2, 3, 4, 5])
def test_strides_padding_modes_and_sizes(reference, random_tensor, stride, padding_mode, size):
    for kernel_size, padding in [((3, 3), (1, 1)), ((2, 3), (0, 2))]:
        x, weight, bias = random_tensor(2, *size), random_tensor(1, 2, *kernel_size), torch.ones(1)
        args = (weight, bias.double(), (stride, stride), padding, (2, 2), 1)
        expected = reference.conv2d(x, *args, padding_mode)
        actual = interpodil_conv2d(x, *args, padding_mode=padding_mode)
        torch.testing.assert_close(actual, expected, **EXACT)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_groups(reference, random_tensor, groups):
    x, weight, bias = random_tensor(4, 6, 7), random_tensor(8, 4 // groups, 3, 3), random_tensor(8)
    args = (weight, bias, (1, 2), (1, 0), (2, 2), groups)
    torch.testing.assert_close(interpodil_conv2d(x, *args), reference.conv2d(x, *args), **EXACT)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"padding": 1, "fade": 0},
        {"padding": "same", "kernel_size": 2, "padding_mode": "circular"},
        {"padding": (1, 2), "stride": (2, 3), "groups": 2, "bias": False},
        {"dilation": (3, 2), "fade": 2.5, "growth": 9, "edge": 0.4, "corner": 0.2},
        {"dilation": 1, "growth": 3},
    ],
)
def test_module_equals_function(random_tensor, arguments):
    layer = InterpodilConv2d(4, 6, **arguments, dtype=torch.float64)
    x = random_tensor(2, 4, 12, 13)
    rest = {k: v for k, v in arguments.items() if k not in ("kernel_size", "bias")}
    expected = interpodil_conv2d(x, layer.weight, layer.bias, **rest)
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=0)
    shape = {k: v for k, v in rest.items() if k in ("dilation", "fade", "growth")}
    tent_of = {k: v for k, v in rest.items() if k in ("edge", "corner")}
    expected = effective_kernel(layer.weight, **shape, **tent_of)
    torch.testing.assert_close(layer.effective_kernel(), expected, rtol=0, atol=0)


def test_tent_of_dilation_two():
    e, c = 0.3, 0.7
    assert tent((2, 2), e, c) == ((c, e, c), (e, 1.0, e), (c, e, c))


@pytest.mark.parametrize("dilation", [1, 2, 3, 4, 5])
def test_tent_is_linear_by_default(dilation):
    axis = torch.tensor([1 - abs(a) / dilation for a in range(1 - dilation, dilation)]).double()
    actual = torch.tensor(tent((dilation, dilation)), dtype=torch.float64)
    torch.testing.assert_close(actual, axis[:, None] * axis, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("dilation", [1, 2, 3, 4, 5])
def test_tent_with_a_squared_corner_is_separable(dilation):
    samples = torch.tensor(tent((dilation, dilation), 0.7, 0.49), dtype=torch.float64)
    axis = samples[dilation - 1]
    torch.testing.assert_close(samples, axis[:, None] * axis, **EXACT)


def test_a_known_kernel():
    linear = effective_kernel(torch.ones(1, 1, 3, 3))[0, 0]
    axis = torch.tensor([0.5, 1, 1, 1, 1, 1, 0.5])
    torch.testing.assert_close(linear, axis[:, None] * axis, rtol=0, atol=0)
    # A fade of 3 falls from the outermost taps by a quarter per pixel.
    long = effective_kernel(torch.ones(1, 1, 3, 3), fade=3)[0, 0]
    axis = torch.tensor([0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])
    torch.testing.assert_close(long, axis[:, None] * axis, rtol=0, atol=0)


@pytest.mark.parametrize("dilation", [2, 3, 4])
def test_unstretched_tent_is_a_transposed_convolution(random_tensor, dilation):
    weight = random_tensor(2, 3, 3, 3)
    filt = torch.tensor(tent((dilation, dilation), 0.6, 0.1), dtype=torch.float64)
    spread = F.conv_transpose2d(weight.reshape(6, 1, 3, 3), filt[None, None], stride=dilation)
    actual = effective_kernel(weight, dilation, fade=dilation - 1, edge=0.6, corner=0.1)
    torch.testing.assert_close(actual, spread.reshape(actual.shape), **EXACT)


@pytest.mark.parametrize("kernel_size", [2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_empty_tent_is_the_dilated_convolution(random_tensor, kernel_size, stride):
    window = 2 * kernel_size - 1
    layer = InterpodilConv2d(
        3, 4, kernel_size, stride, growth=window, edge=0, corner=0, dtype=torch.float64
    )
    dilated = nn.Conv2d(3, 4, kernel_size, stride, dilation=2, dtype=torch.float64)
    dilated.load_state_dict(layer.state_dict())
    x, surplus = random_tensor(2, 3, 12, 11), window - kernel_size
    sides = (surplus // 2, surplus - surplus // 2)
    torch.testing.assert_close(layer(x), dilated(F.pad(x, sides + sides)), **EXACT)


@pytest.mark.parametrize("arguments", [{"growth": 3}, {"fade": 0}, {"fade": 2, "growth": 3}])
@pytest.mark.parametrize("padding_mode", ["zeros", "reflect"])
def test_dilation_one_is_the_plain_convolution(arguments, padding_mode):
    layer = InterpodilConv2d(
        3, 4, 3, 2, 1, 1, padding_mode=padding_mode, edge=0.9, corner=0.8, **arguments
    )
    plain = nn.Conv2d(3, 4, 3, 2, 1, padding_mode=padding_mode)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(2, 3, 8, 9)
    torch.testing.assert_close(layer(x), plain(x), rtol=0, atol=0)
    assert layer.expansion is None
    assert layer.effective_kernel() is layer.weight


@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
@pytest.mark.parametrize("padding_mode", ["zeros", "circular"])
@pytest.mark.parametrize(("kernel_size", "dilation"), [(3, 2), (2, 2), (2, 3), (4, 1)])
def test_same_padding_is_that_of_the_effective_kernel(
    random_tensor, kernel_size, dilation, padding_mode
):
    x, weight = random_tensor(1, 2, 9, 10), random_tensor(3, 2, kernel_size, kernel_size)
    kernel = effective_kernel(weight, dilation)
    twin = nn.Conv2d(
        2, 3, kernel.shape[-1], padding="same", padding_mode=padding_mode, bias=False
    ).double()
    twin.load_state_dict({"weight": kernel})
    actual = interpodil_conv2d(
        x, weight, padding="same", dilation=dilation, padding_mode=padding_mode
    )
    torch.testing.assert_close(actual, twin(x), **EXACT)


def test_valid_padding_is_none(random_tensor):
    x, weight = random_tensor(1, 2, 9, 10), random_tensor(3, 2, 3, 3)
    expected = interpodil_conv2d(x, weight, padding=0)
    torch.testing.assert_close(interpodil_conv2d(x, weight, padding="valid"), expected)


def test_growth_of_the_window_ignores_the_fade():
    taps = expansion_coefficients((3, 3), growth=5, fade=0)
    assert expansion_coefficients((3, 3), growth=5, fade=3.3) == taps


def test_growth_crops_both_ends(random_tensor):
    weight = random_tensor(1, 1, 3, 3)
    whole = effective_kernel(weight, fade=3.3)
    torch.testing.assert_close(effective_kernel(weight, fade=3.3, growth=9), whole[..., 2:-2, 2:-2])


def test_state_dicts_are_those_of_conv2d():
    plain = nn.Conv2d(4, 6, 3, groups=2)
    layer = InterpodilConv2d(4, 6, 3, groups=2)
    assert list(layer.state_dict()) == list(plain.state_dict()) == ["weight", "bias"]
    layer.load_state_dict(plain.state_dict())
    for name, value in plain.state_dict().items():
        assert torch.equal(layer.state_dict()[name], value)
    expected = effective_kernel(plain.weight)
    torch.testing.assert_close(layer.effective_kernel(), expected, rtol=0, atol=0)
    plain.load_state_dict(InterpodilConv2d(4, 6, 3, groups=2).state_dict())
    assert not torch.equal(layer.weight, plain.weight)
