"""Outputs are as large as the plain convolution's, effective kernels as large as defined."""

import math

import pytest
import torch
from torch import nn

from interpodil import InterpodilConv2d, canonical_window, effective_size, interpodil_conv2d


@pytest.mark.parametrize("size", [(9, 9), (8, 11), (16, 5)])
@pytest.mark.parametrize("stride", [1, 2, 3, 4, 5, (2, 3)])
@pytest.mark.parametrize("padding", [0, 1, 2, (0, 3), "valid"])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5, (3, 2)])
def test_output_size_is_the_plain_convolutions(kernel_size, padding, stride, size):
    x = torch.zeros(2, 1, *size)
    plain = nn.Conv2d(1, 1, kernel_size, stride, padding)
    for dilation, fade in [(1, 0), (2, 1), (3, 1.7), ((2, 3), 0)]:
        layer = InterpodilConv2d(1, 1, kernel_size, stride, padding, dilation, fade=fade)
        assert layer(x).shape == plain(x).shape


@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", [0, 1, "same", "valid"])
@pytest.mark.parametrize("kernel_size", [2, 3, (3, 4)])
def test_output_size_in_every_padding_mode(kernel_size, padding, padding_mode):
    x = torch.zeros(2, 3, 11, 12)
    plain = nn.Conv2d(3, 2, kernel_size, padding=padding, padding_mode=padding_mode)
    layer = InterpodilConv2d(3, 2, kernel_size, padding=padding, padding_mode=padding_mode)
    assert layer(x).shape == plain(x).shape


@pytest.mark.parametrize("dilation", [1, 2, 3, 4])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5])
def test_effective_size(kernel_size, dilation):
    window = (kernel_size - 1) * dilation + 1
    assert canonical_window(kernel_size, dilation) == window
    for fade in (0, 0.5, 1, 1.7, 2, 3.3):
        support = window + 2 * math.ceil(fade)
        assert effective_size(kernel_size, dilation, fade) == support
        for growth in range(window, support + 5, 2):
            size = effective_size(kernel_size, dilation, fade, growth)
            layer = InterpodilConv2d(1, 1, kernel_size, dilation=dilation, fade=fade, growth=growth)
            assert size == min(growth, support)
            assert layer.effective_size == (size, size)
            assert layer.effective_kernel().shape == (1, 1, size, size)


def test_effective_size_per_axis():
    layer = InterpodilConv2d(2, 4, (3, 5), dilation=(2, 1), groups=2, fade=1.5)
    assert layer.effective_size == (9, 9)
    assert layer.effective_kernel().shape == (4, 1, 9, 9)
    layer = InterpodilConv2d(2, 4, (1, 3), dilation=(1, 3), fade=0)
    assert layer.effective_size == (1, 7)


@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "replicate", "circular"])
def test_one_image_without_a_batch_axis(padding_mode):
    layer = InterpodilConv2d(3, 4, padding=1, padding_mode=padding_mode)
    x = torch.randn(3, 10, 9)
    assert layer(x).shape == (4, 10, 9)
    torch.testing.assert_close(layer(x), layer(x[None])[0])


def test_empty_batch():
    assert InterpodilConv2d(3, 4, padding=1)(torch.zeros(0, 3, 8, 8)).shape == (0, 4, 8, 8)


def test_lists_are_pairs():
    x, weight = torch.randn(1, 2, 9, 9), torch.randn(2, 2, 3, 3)
    assert interpodil_conv2d(x, weight, None, [1, 2], [1, 0], [2, 3]).shape == (1, 2, 9, 4)
