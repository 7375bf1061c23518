"""Wrong arguments are refused in one line that has the value and the rule."""

import math

import pytest
import torch

from interpodil import (
    InterpodilConv2d,
    effective_kernel,
    effective_size,
    expansion_gain,
    interpodil_conv2d,
)

SHARED = [
    ({"fade": -0.1}, "fade must be finite and >= 0, got -0.1"),
    ({"fade": math.inf}, "fade must be finite and >= 0, got inf"),
    ({"fade": math.nan}, "fade must be finite and >= 0, got nan"),
    ({"growth": 3}, "growth must be 5 .* got 3"),
    ({"growth": 6}, "growth must be 5 .* got 6"),
    ({"growth": 6.5}, "growth must be 5 .* got 6.5"),
    ({"dilation": 1, "fade": 0, "growth": 4}, "growth must be 3 .* got 4"),
    ({"dilation": 0}, "dilation must be one or two ints >= 1, got 0"),
    ({"dilation": (2, 2, 2)}, r"dilation must be one or two ints >= 1, got \(2, 2, 2\)"),
    ({"edge": math.nan}, "edge must be finite, got nan"),
    ({"corner": -math.inf}, "corner must be finite, got -inf"),
    ({"dilation": 1, "fade": 0, "edge": math.nan}, "edge must be finite, got nan"),
]
CONVOLUTION = [
    ({"stride": 0}, "stride must be one or two ints >= 1, got 0"),
    ({"stride": 1.5}, "stride must be one or two ints >= 1, got 1.5"),
    ({"padding": -1}, "padding must be one or two ints >= 0, got -1"),
    ({"padding": (1,)}, r"padding must be one or two ints >= 0, got \(1,\)"),
    ({"padding": "full"}, "padding must be ints, 'same' or 'valid', got 'full'"),
    ({"padding": "same", "stride": 2}, "padding='same' needs stride 1, got stride 2"),
    ({"padding_mode": "mirror"}, "padding_mode must be one of zeros, .* got 'mirror'"),
]
MODULE = [
    ({"kernel_size": 0}, "kernel_size must be one or two ints >= 1, got 0"),
    ({"kernel_size": (3, -1)}, r"kernel_size must be one or two ints >= 1, got \(3, -1\)"),
    ({"kernel_size": (3, 5), "growth": 7}, "growth must be 9 .* got 7"),
    ({"init_scale": 0}, "init_scale must be finite and > 0, got 0"),
    ({"init_scale": -1.0}, "init_scale must be finite and > 0, got -1.0"),
    ({"init_scale": math.nan}, "init_scale must be finite and > 0, got nan"),
    ({"groups": 3}, "divisible by groups"),
]


def refuses(message):
    # One line: `.` in the pattern matches no line break, and `\Z` is the end.
    return pytest.raises(ValueError, match=rf"^.*{message}.*\Z")


@pytest.mark.parametrize(("arguments", "message"), SHARED + CONVOLUTION + MODULE)
def test_module(arguments, message):
    with refuses(message):
        InterpodilConv2d(2, 4, **arguments)


@pytest.mark.parametrize(("arguments", "message"), SHARED + CONVOLUTION)
def test_function(arguments, message):
    with refuses(message):
        interpodil_conv2d(torch.zeros(1, 2, 9, 9), torch.zeros(4, 2, 3, 3), **arguments)


@pytest.mark.parametrize(("arguments", "message"), SHARED)
def test_effective_kernel(arguments, message):
    with refuses(message):
        effective_kernel(torch.zeros(4, 2, 3, 3), **arguments)


@pytest.mark.parametrize(("arguments", "message"), SHARED)
def test_gain(arguments, message):
    with refuses(message):
        expansion_gain(3, **arguments)


def test_effective_size():
    with refuses("kernel_size must be >= 1, got 0"):
        effective_size(0)
    with refuses("dilation must be >= 1, got 0"):
        effective_size(3, 0)
    with refuses("fade must be finite and >= 0, got -1"):
        effective_size(3, fade=-1)


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
@pytest.mark.parametrize("arguments", [{}, {"dilation": 1, "growth": 3}])
def test_inputs(shape, message, arguments):
    layer = InterpodilConv2d(4, 4, groups=2, **arguments)
    with refuses(message):
        layer(torch.zeros(shape))
    with refuses(message):
        interpodil_conv2d(torch.zeros(shape), layer.weight, groups=2, **arguments)


@pytest.mark.parametrize(("padding_mode", "needed"), [("reflect", 4), ("circular", 3)])
def test_inputs_too_small_to_reflect_or_wrap(padding_mode, needed):
    layer = InterpodilConv2d(1, 1, padding=1, padding_mode=padding_mode)
    assert layer(torch.zeros(1, 1, needed, 9)).shape == (1, 1, needed, 9)
    small = torch.zeros(1, 1, 9, needed - 1)
    with refuses(f"padding_mode='{padding_mode}' needs an axis of {needed} pixels to pad 3"):
        layer(small)


def test_weight_axes():
    with refuses(r"weight must have 4 axes .* got \(3, 3\)"):
        effective_kernel(torch.zeros(3, 3))
