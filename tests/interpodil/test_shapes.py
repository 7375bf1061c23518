"""Outputs are as large as the plain convolution's, effective kernels as large as defined."""

import functools
import itertools
import math
from typing import get_args

import pytest
import torch

from interpodil import (
    InterpodilConv1d,
    InterpodilConv2d,
    InterpodilConv3d,
    effective_kernel,
    interpodil_conv2d,
)
from interpodil.plan import Algorithm
from tests.interpodil.kinds import CONVOLUTIONS, LAYERS, PADDING_MODES, PLAIN


@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_output_size_is_the_plain_convolutions(dims):
    x = torch.zeros(1, 1, *(11, 12, 9)[:dims])
    expansions = itertools.cycle(
        [(1, 0), (2, None), (3, 1.7), ((1, 3, 2)[:dims], (0, 2.5, 1)[:dims])]
    )
    modes = itertools.cycle(PADDING_MODES)
    for kernel_size, stride, padding in itertools.product(
        [1, 2, 3, 4, (3, 5, 2)[:dims]], [1, 2, 3, (4, 5, 1)[:dims]], [0, 1, 2, "valid", "same"]
    ):
        if padding == "same" and stride != 1:
            continue
        arguments = (kernel_size, stride, padding)
        expected = PLAIN[dims](1, 1, *arguments)(x).shape
        for dilation, fade in itertools.islice(expansions, 3):
            settings = {"dilation": dilation, "fade": fade, "padding_mode": next(modes)}
            layer = LAYERS[dims](1, 1, *arguments, **settings)
            assert layer(x).shape == expected, (arguments, settings)


@pytest.mark.parametrize("dilation", [1, 2, 3, 4])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5])
def test_effective_size(kernel_size, dilation):
    window = (kernel_size - 1) * dilation + 1
    for fade in (0, 0.5, 1, 1.7, 2, 3.3):
        support = window + 2 * math.ceil(fade)
        for growth in (None, *range(window, support + 5, 2)):
            layer = InterpodilConv1d(1, 1, kernel_size, dilation=dilation, fade=fade, growth=growth)
            size = min(growth or math.inf, support)
            assert layer.effective_size == (size,)
            assert layer.effective_kernel().shape == (1, 1, size)


def test_the_tent_is_unstretched_unless_told():
    assert InterpodilConv2d(1, 1, dilation=(2, 4)).fade == (1, 3)
    assert InterpodilConv3d(2, 2, 3, dilation=3, fade=1.5, growth=9).effective_size == (9, 9, 9)
    assert InterpodilConv2d(1, 1, dilation=(2, 4)).effective_size == (7, 15)
    assert InterpodilConv1d(1, 1, dilation=1).fade == (0,)
    assert effective_kernel(torch.zeros(1, 1, 3), 3).shape == (1, 1, 11)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("algorithm", get_args(Algorithm))
def test_empty_batch(algorithm, dims):
    """As a plain convolution's, in every memory format, forward and backward."""
    size = (9, 8, 7)[:dims]
    # Every pair of two of these occurs that may fail otherwise than alone.
    for channels, groups, padding_mode, stride in [
        (1, 1, "zeros", 1),
        (1, 1, "reflect", 2),
        (4, 2, "zeros", 2),
        (4, 4, "replicate", 1),
        (20, 1, "circular", 2),
        (20, 1, "zeros", 1),
        (20, 4, "reflect", 1),
    ]:
        options = {"stride": stride, "padding": 1, "groups": groups, "padding_mode": padding_mode}
        layer = LAYERS[dims](channels, 4, algorithm=algorithm, **options)
        function = functools.partial(
            CONVOLUTIONS[dims], weight=layer.weight, bias=layer.bias, **options
        )
        plain = PLAIN[dims](channels, 4, 3, **options)
        for x, needs_gradient in itertools.product(
            (torch.empty(0, channels, *size), torch.empty(0, *size, channels).movedim(-1, 1)),
            (False, True),
        ):
            x.requires_grad_(needs_gradient)
            expected = plain(x)
            for convolution in (layer, function):
                layer.zero_grad()
                output = convolution(x)
                assert output.shape == expected.shape
                output.sum().backward()
                assert not layer.weight.grad.any()
            assert not needs_gradient or x.grad.shape == x.shape
            x.grad = None


def test_lists_are_tuples():
    x, weight = torch.randn(1, 2, 9, 9), torch.randn(2, 2, 3, 3)
    output = interpodil_conv2d(x, weight, None, [1, 2], [1, 0], [2, 3], fade=[1, 0.5])
    assert output.shape == (1, 2, 9, 4)
