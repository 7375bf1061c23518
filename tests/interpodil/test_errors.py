"""Wrong arguments are refused in one line that has the value and the rule."""

import math

import numpy as np
import pytest
import torch

import interpodil
from interpodil import (
    InterpodilConv2d,
    effective_kernel,
    expansion_gain,
    interpodil_conv2d,
)
from tests.interpodil.kinds import CONVOLUTIONS, LAYERS

CENTERED = torch.tensor([[0.1, 0.4, 0.2], [0.5, 1.0, 0.3], [0.0, 0.6, 0.7]])
EXPANSION = [
    ({"fade": -0.1}, "fade must be finite and >= 0, got -0.1"),
    ({"fade": math.inf}, "fade must be finite and >= 0, got inf"),
    ({"fade": math.nan}, "fade must be finite and >= 0, got nan"),
    ({"fade": (1, -2)}, r"fade .*>= 0, got .*-2"),
    ({"growth": 3}, "growth must be 5 .* got 3"),
    ({"growth": 6}, "growth must be 5 .* got 6"),
    ({"dilation": (2, 3), "growth": 5}, "growth must be 7 .* got 5"),
    ({"dilation": 0}, "dilation must be one or two ints >= 1, got 0"),
    ({"dilation": (2, 2, 2)}, r"dilation must be one or two ints >= 1, got \(2, 2, 2\)"),
    ({"edge": math.nan}, "edge must be a finite number, got nan"),
    ({"corner": -math.inf}, "corner must be a finite number, got -inf"),
    ({"dilation": 1, "fade": 0, "edge": math.nan}, "edge must be a finite number, got nan"),
    ({"tent": "triangle"}, "tent must be .*linear, cosine, gaussian.* got 'triangle'"),
    ({"tent": "cosine", "edge": 0.4}, "tent .*edge and corner.*edge=0.4"),
    ({"tent": [0.5, 1.0, 0.5]}, r"tent must be .*tensor, got \[0.5, 1.0, 0.5\]"),
    ({"tent": CENTERED, "dilation": 3}, r"tent must have shape .*\(5, 5\).* got \(3, 3\)"),
]
CHANNELS = [
    ({"tent": torch.ones(3, 3, 3)}, r"tent must have shape .*\(2, 3, 3\).* got \(3, 3, 3\)"),
    ({"tent": torch.ones(1, 2, 3, 3)}, r"tent must have shape .*\(3, 3\).* got \(1, 2, 3, 3\)"),
]
CONVOLUTION = [
    ({"stride": 0}, "stride must be one or two ints >= 1, got 0"),
    ({"padding": -1}, "padding must be one or two ints >= 0, got -1"),
    ({"padding": (1,)}, r"padding must be one or two ints >= 0, got \(1,\)"),
    ({"padding": "full"}, "padding must be ints, 'same' or 'valid', got 'full'"),
    ({"padding": "same", "stride": 2}, "padding='same' needs stride 1, got stride 2"),
    ({"padding_mode": "mirror"}, "padding_mode must be one of zeros, .* got 'mirror'"),
    ({"algorithm": "fastest"}, "algorithm must be one of auto, .* got 'fastest'"),
]
MODULE = [
    ({"kernel_size": 0}, "kernel_size must be one or two ints >= 1, got 0"),
    ({"kernel_size": (3, 3, 3)}, r"kernel_size .* got \(3, 3, 3\)"),
    ({"kernel_size": (3, 5), "growth": 7}, "growth must be 9 .* got 7"),
    ({"init_scale": 0}, "init_scale must be finite and > 0, got 0"),
    ({"init_scale": math.nan}, "init_scale must be a finite number, got nan"),
    ({"groups": 3}, "groups must divide the channels, got 3 for 2 in and 4 out"),
    ({"tent": 2 * CENTERED}, "tent must be 1 at its center, got 2.0"),
    ({"tent": CENTERED * torch.nan}, "tent must be finite"),
    ({"tent": torch.stack((CENTERED, 3 * CENTERED))}, "tent must be 1 at its center, got 3.0"),
    ({"edge": torch.tensor(0.3)}, "edge must be a number, got a tensor"),
    ({"learn_tent": True, "dilation": 1}, r"learn_tent=True needs pixels .* got dilation=\(1, 1\)"),
    ({"learn_tent": "always"}, "learn_tent must be .* got 'always'"),
    ({"tent": CENTERED.clone().requires_grad_()}, "tent must not require a gradient"),
    ({"edge": "0.3"}, "edge must be a finite number, got '0.3'"),
    ({"corner": None}, "corner must be a finite number, got None"),
    ({"fade": torch.tensor(2.0)}, r"fade must be finite and >= 0, got tensor\(2.\)"),
    ({"stride": True}, "stride must be one or two ints >= 1, got True"),
    ({"groups": 2.0}, "groups must be one int >= 1, got 2.0"),
    ({"edge": -1.0, "learn_tent": True}, "-1.0"),
    ({"edge": 1.5, "learn_tent": True}, "1.5"),
    ({"tent": CENTERED.expand(2, 3, 3), "learn_tent": "layer"}, "tent.*channel"),
    ({"gain": "backward"}, "gain must be one of init, forward, got 'backward'"),
    ({"gain_of": "pink"}, "gain_of must be a number, white or constant, got 'pink'"),
    ({"gain_of": 0}, "gain_of must be finite and > 0, got 0"),
    ({"gain_of": math.nan}, "gain_of must be a finite number"),
    ({"gain_of": "constant", "edge": -0.5}, "needs a tent with a sum other than 0"),
]


def test_numbers_of_other_libraries_are_numbers():
    settings = {"kernel_size": np.int64(3), "fade": np.float32(1), "growth": (np.int64(7), None)}
    layer = InterpodilConv2d(np.int64(2), np.int64(4), edge=np.array(0.25), **settings)
    torch.testing.assert_close(layer.tent, interpodil.tent((2, 2), edge=0.25).float())
    assert layer.effective_size == (7, 7)


def test_one_axis_may_have_the_default_fade():
    assert InterpodilConv2d(2, 4, dilation=3, fade=(None, 0.5)).fade == (2, 0.5)


@pytest.mark.parametrize("edge", [torch.tensor(1), torch.ones(2), torch.tensor(0.5j)])
def test_tensor_coefficients_are_real_scalars(edge):
    with refuses("edge must be a number or a floating tensor without axes, got shape"):
        effective_kernel(torch.ones(1, 1, 3, 3), edge=edge)


@pytest.mark.parametrize("channels", [(-2, 4), (2, -4), (2.0, 4)])
def test_channels_are_counted(channels):
    with refuses("_channels must be one int >= 0, got"):
        InterpodilConv2d(*channels)


def test_axes_are_one_two_or_three():
    with refuses("there must be 1, 2 or 3 axes, got kernel_size=3 and dims=4"):
        expansion_gain(3, dims=4)


def refuses(message):
    # One line: `.` in the pattern matches no line break, and `\Z` is the end.
    return pytest.raises(ValueError, match=rf"^.*{message}.*\Z")


@pytest.mark.parametrize(("arguments", "message"), EXPANSION + CHANNELS + CONVOLUTION + MODULE)
def test_module(arguments, message):
    with refuses(message):
        InterpodilConv2d(2, 4, **arguments)


@pytest.mark.parametrize(("arguments", "message"), EXPANSION + CHANNELS + CONVOLUTION)
def test_function(arguments, message):
    with refuses(message):
        interpodil_conv2d(torch.zeros(1, 2, 9, 9), torch.zeros(4, 2, 3, 3), **arguments)


@pytest.mark.parametrize(("arguments", "message"), EXPANSION + CHANNELS)
def test_effective_kernel(arguments, message):
    with refuses(message):
        effective_kernel(torch.zeros(4, 2, 3, 3), **arguments)


@pytest.mark.parametrize(("arguments", "message"), EXPANSION)
def test_gain(arguments, message):
    with refuses(message):
        expansion_gain(3, **arguments)


@pytest.mark.parametrize("dims", [1, 3])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kernel_size", (3, 3)),
        ("stride", (1, 1)),
        ("padding", (1, 1)),
        ("dilation", (2, 2)),
        ("fade", (1, 1)),
        ("growth", (5, 5)),
    ],
)
def test_two_axes_in_one_and_three_dimensions(dims, name, value):
    number = "number" if name == "fade" else "int"
    with refuses(rf"{name} must be .*{number}.*, got \({value[0]}, {value[1]}\)"):
        LAYERS[dims](2, 4, **{name: value})
    if name != "kernel_size":
        x, weight = torch.zeros(1, 2, *(9,) * dims), torch.zeros(4, 2, *(3,) * dims)
        with refuses(rf"{name} .* got \({value[0]}, {value[1]}\)"):
            CONVOLUTIONS[dims](x, weight, **{name: value})


@pytest.mark.parametrize("name", ["edge", "corner"])
def test_coefficients_with_axes(name):
    x, weight = torch.zeros(1, 2, 9, 9), torch.zeros(4, 2, 3, 3)
    with refuses(rf"{name} .* \(1,\)"):
        interpodil_conv2d(x, weight, **{name: torch.zeros(1)})
    with refuses(rf"{name} .* \(2, 3\)"):
        effective_kernel(weight, **{name: torch.zeros(2, 3)})


def test_groups_that_do_not_divide():
    x = torch.zeros(1, 4, 9, 9)
    with refuses("groups must be one int >= 1, got 0"):
        interpodil_conv2d(x, torch.zeros(3, 2, 3, 3), groups=0)
    with refuses("divide the channels, got 2 for 4 in and 3 out"):
        interpodil_conv2d(x, torch.zeros(3, 2, 3, 3), groups=2)
    with refuses("input must have 6 channels, got 4"):
        interpodil_conv2d(x, torch.zeros(6, 2, 3, 3), groups=3)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 9, 9), r"input must have 4 channels, got 3 in \(1, 3, 9, 9\)"),
        ((9, 4, 9), r"input must have 4 channels, got 9 in \(9, 4, 9\)"),
        ((9, 9), r"input must be \(batch, channels, height, width\) .* got \(9, 9\)"),
        ((1, 1, 4, 9, 9), r"input must be .* got \(1, 1, 4, 9, 9\)"),
        ((1, 4, 2, 9), "input must span the 3 taps of each axis, got 2 pixels and a padding of 0"),
        ((1, 4, 9, 0), "input must span the 3 taps of each axis, got 0 pixels"),
    ],
)
@pytest.mark.parametrize(
    "arguments", [{}, {"algorithm": "expanded"}, {"algorithm": "axis_first"}, {"dilation": 1}]
)
def test_inputs(shape, message, arguments):
    layer = InterpodilConv2d(4, 4, groups=2, **arguments)
    with refuses(message):
        layer(torch.zeros(shape))
    with refuses(message):
        interpodil_conv2d(torch.zeros(shape), layer.weight, groups=2, **arguments)


@pytest.mark.parametrize("dims", [1, 3])
def test_inputs_in_one_and_three_dimensions(dims):
    layer = LAYERS[dims](4, 4)
    axes = {1: "length", 3: "depth, height, width"}[dims]
    with refuses(rf"input must be \(batch, channels, {axes}\) or .* got \(9, 9, 9, 9, 9, 9\)"):
        layer(torch.zeros((9,) * 6))
    with refuses("input must have 4 channels, got 3"):
        layer(torch.zeros(1, 3, *(9,) * dims))
    with refuses("input must span the 3 taps of each axis, got 2 pixels"):
        layer(torch.zeros(1, 4, *(9,) * (dims - 1), 2))


@pytest.mark.parametrize(("padding_mode", "needed"), [("reflect", 4), ("circular", 3)])
@pytest.mark.parametrize("algorithm", ["auto", "expanded", "tent_first", "axis_first"])
def test_inputs_too_small_to_reflect_or_wrap(padding_mode, needed, algorithm):
    layer = InterpodilConv2d(1, 1, padding=1, padding_mode=padding_mode, algorithm=algorithm)
    assert layer(torch.zeros(1, 1, needed, 9)).shape == (1, 1, needed, 9)
    small = torch.zeros(1, 1, 9, needed - 1)
    with refuses(f"padding_mode='{padding_mode}' needs an axis of {needed} pixels to pad 3"):
        layer(small)


@pytest.mark.parametrize("weight", [torch.zeros(3, 3), torch.zeros(1, 1, 1, 3, 3, 3)])
def test_weight_axes(weight):
    with refuses(rf"weight must have .* axes .* got \({weight.shape[0]}, .*\)"):
        effective_kernel(weight)


@pytest.mark.parametrize(("dims", "axes"), [(1, 3), (2, 4), (3, 5)])
def test_weight_axes_of_a_convolution(dims, axes):
    weight = torch.zeros(1, 1, *(3,) * (dims % 3 + 1))
    with refuses(rf"weight must have {axes} axes .* got \(1, 1, .*\)"):
        CONVOLUTIONS[dims](torch.zeros(1, 1, *(9,) * dims), weight)
