"""What is trained gets its gradient, whatever the algorithm, and nothing else is touched."""

import itertools

import pytest
import torch
import torch.utils.checkpoint

from interpodil import InterpodilConv2d, interpodil_conv2d
from tests.interpodil.kinds import PATHS, assert_near, draw


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("padding_mode", ["zeros", "circular"])
def test_only_what_is_trained_gets_a_gradient(path, padding_mode):
    """Input, weight and bias, each frozen or not."""
    tensors = [draw(2, 4, 7, 8), draw(3, 4, 3, 3), draw(3)]
    for tensor in tensors:
        tensor.requires_grad_()
    settings = {"padding": 1, "padding_mode": padding_mode}
    expected = interpodil_conv2d(*tensors, algorithm="expanded", **settings)
    grads = torch.autograd.grad(expected.square().sum(), tensors)
    for trained in itertools.product([False, True], repeat=3):
        leaves = [t.detach().requires_grad_(on) for t, on in zip(tensors, trained, strict=True)]
        output = interpodil_conv2d(*leaves, algorithm=path, **settings)
        assert_near(output, expected, message=f"for {trained}")
        assert output.requires_grad == any(trained)
        if any(trained):
            output.square().sum().backward()
        for leaf, grad, on in zip(leaves, grads, trained, strict=True):
            assert (leaf.grad is not None) == on, trained
            if on:
                assert_near(leaf.grad, grad, message=f"for {trained}")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_without_gradients(path, context):
    layer = InterpodilConv2d(3, 4, padding=1, algorithm=path)
    x = torch.randn(2, 3, 8, 9)
    with context():
        output = layer(x)
    assert not output.requires_grad
    torch.testing.assert_close(output, layer(x), rtol=1e-5, atol=1e-5)
    # What was computed without gradients is not taken for what is trained.
    layer(x).sum().backward()
    assert layer.weight.grad.any()


@pytest.mark.parametrize("path", PATHS)
def test_a_step_of_training_changes_the_output(path):
    """Nothing computed from the weights outlives them."""
    layer = InterpodilConv2d(3, 4, padding=1, bias=False, algorithm=path)
    x = torch.randn(2, 3, 8, 9)
    before = layer(x).detach()
    with torch.no_grad():
        layer.weight.mul_(2)
    torch.testing.assert_close(layer(x), 2 * before)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("changed", ["input", "weight"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_what_changes_before_the_backward_pass_does_no_silent_harm(path, changed, channels_last):
    """Gradients are those of the forward pass, or autograd refuses."""
    layer = InterpodilConv2d(3, 4, padding=1, algorithm=path)
    x = torch.randn(2, 3, 8, 9)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    frozen = x.clone().requires_grad_()
    layer(frozen).square().sum().backward()
    expected = frozen.grad, layer.weight.grad.clone()
    layer.zero_grad()
    loss = layer(leaf := x.clone().requires_grad_()).square().sum()
    with torch.no_grad():
        (leaf if changed == "input" else layer.weight).mul_(3)
    refusal = None
    try:
        loss.backward()
    except RuntimeError as error:
        refusal = str(error)
    if refusal is None:
        torch.testing.assert_close((leaf.grad, layer.weight.grad), expected)
    else:
        assert "modified by an inplace operation" in refusal


@pytest.mark.parametrize("path", PATHS)
def test_checkpointing(path):
    layer = InterpodilConv2d(3, 4, padding=1, algorithm=path)
    x = torch.randn(2, 3, 8, 9, requires_grad=True)
    layer(x).square().sum().backward()
    expected = x.grad.clone(), layer.weight.grad.clone()
    x.grad = layer.weight.grad = None
    output = torch.utils.checkpoint.checkpoint(layer, x, use_reentrant=False)
    output.square().sum().backward()
    torch.testing.assert_close((x.grad, layer.weight.grad), expected)
