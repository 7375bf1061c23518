"""Gradients, checked numerically in double precision."""

import pytest
import torch

from interpodil import InterpodilConv2d, effective_kernel, interpodil_conv2d


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"padding": 1, "stride": 2},
        {"fade": 1.7, "padding": "same"},
        {"groups": 2, "growth": 5, "edge": 0.3, "corner": 0.4},
        {"padding": 1, "padding_mode": "reflect"},
        {"dilation": (1, 3), "fade": 0},
        {"dilation": 1, "fade": 0},
    ],
)
def test_convolution(random_tensor, arguments):
    groups = arguments.get("groups", 1)
    x = random_tensor(1, 2, 5, 6).requires_grad_()
    weight = random_tensor(2, 2 // groups, 3, 3).requires_grad_()
    bias = random_tensor(2).requires_grad_()

    def convolution(x, weight, bias):
        return interpodil_conv2d(x, weight, bias, **arguments)

    assert torch.autograd.gradcheck(convolution, (x, weight, bias))


def test_second_order(random_tensor):
    x, weight = random_tensor(1, 1, 3, 3), random_tensor(1, 1, 2, 2)
    inputs = (x.requires_grad_(), weight.requires_grad_())
    assert torch.autograd.gradgradcheck(interpodil_conv2d, inputs)


def test_effective_kernel(random_tensor):
    weight = random_tensor(1, 2, 2, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda w: effective_kernel(w, 3, fade=1.2), weight)


def test_only_the_parameters_are_learnt():
    layer = InterpodilConv2d(2, 3)
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    assert not layer.expansion.requires_grad
    layer(torch.randn(1, 2, 6, 6)).sum().backward()
    assert layer.weight.grad.shape == layer.weight.shape
    assert layer.weight.grad.abs().min() > 0
    layer.effective_kernel().sum().backward()
