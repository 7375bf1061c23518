"""Tents that are trained with the weights."""

import pytest
import torch
from torch import nn

from interpodil import (
    InterpodilConv1d,
    InterpodilConv2d,
    profile_tent,
)
from tests.interpodil.kinds import LAYERS, assert_near

SIZE = (8, 7, 6)
MODES = {True: 1, "layer": 1, "channel": 4}
ANY_TENT = ["expanded", "tent_first", "auto"]


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("learn_tent", MODES)
@pytest.mark.parametrize("start", [{}, {"edge": 0.3, "corner": -0.2}, {"tent": "cosine"}])
def test_starts_as_the_fixed_tent(start, learn_tent, dims):
    settings = {"padding": 1, "groups": 2, "dilation": (2, 3, 2)[:dims], **start}
    torch.manual_seed(3)
    fixed = LAYERS[dims](4, 6, **settings, dtype=torch.float64)
    torch.manual_seed(3)
    layer = LAYERS[dims](4, 6, **settings, learn_tent=learn_tent, dtype=torch.float64)
    assert torch.equal(layer.weight, fixed.weight)
    assert torch.equal(layer.bias, fixed.bias)
    samples = fixed.tent.numel()
    assert layer.raw_tent.shape == (MODES[learn_tent], samples - 1)
    assert fixed.raw_tent is None
    tents = layer.tent.reshape(-1, *fixed.tent.shape)
    assert layer.tent.shape[:-dims] == ((4,) if learn_tent == "channel" else ())
    for tent in tents:
        assert_near(tent, fixed.tent)
    x = torch.randn(2, 4, *SIZE[:dims], dtype=torch.float64)
    assert_near(layer(x), fixed(x))


def test_starts_at_tents_per_channel():
    tents = torch.tensor([[0.1, 1.0, 0.2], [-0.3, 1.0, 0.4]], dtype=torch.float64)
    layer = InterpodilConv1d(2, 2, tent=tents, learn_tent="channel", dtype=torch.float64)
    torch.testing.assert_close(layer.tent, tents)


@pytest.mark.parametrize("learn_tent", ["layer", "channel"])
@pytest.mark.parametrize("path", ANY_TENT)
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_stays_a_tent_whatever_the_learning_rate(optimizer, path, learn_tent):
    layer = InterpodilConv2d(3, 4, padding=1, learn_tent=learn_tent, algorithm=path)
    steps = optimizer([layer.raw_tent], lr=1e3)
    x = torch.randn(2, 3, 8, 8)
    start = layer.tent.detach().clone()
    for _ in range(3):
        steps.zero_grad()
        layer(x).square().sum().backward()
        assert layer.raw_tent.grad.isfinite().all()
        steps.step()
    tent = layer.tent.detach().reshape(-1, 9)
    assert tent[:, 4].eq(1).all()
    assert tent.abs().max() <= 1
    assert not torch.allclose(tent, start.reshape(-1, 9))
    assert layer(x).isfinite().all()


def test_a_plain_checkpoint_loads_inside_a_model():
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    model = nn.Sequential(InterpodilConv2d(3, 4, 3, learn_tent=True), nn.BatchNorm2d(4))
    with torch.no_grad():
        model[0].raw_tent.add_(0.1)
    raw_tent = model[0].raw_tent.detach().clone()
    model.load_state_dict(plain.state_dict(), strict=True)
    assert torch.equal(model[0].weight, plain[0].weight)
    assert torch.equal(model[0].raw_tent, raw_tent)
    state = {k: v for k, v in plain.state_dict().items() if k != "0.weight"}
    with pytest.raises(RuntimeError, match=r"0\.weight"):
        model.load_state_dict(state, strict=True)


def test_reset_parameters_starts_the_tent_anew():
    layer = InterpodilConv2d(3, 4, learn_tent=True)
    start = layer.tent.detach().clone()
    with torch.no_grad():
        layer.raw_tent.fill_(2.0)
    layer.reset_parameters()
    torch.testing.assert_close(layer.tent, start, rtol=0, atol=0)


def test_trains_towards_another_tent():
    target = InterpodilConv2d(2, 3, padding=1, edge=0.8, corner=0.6)
    layer = InterpodilConv2d(2, 3, padding=1, learn_tent=True)
    layer.load_state_dict(target.state_dict())
    steps = torch.optim.Adam([layer.raw_tent], lr=0.1)
    x = torch.randn(8, 2, 10, 10)
    expected = target(x).detach()
    for _ in range(150):
        steps.zero_grad()
        nn.functional.mse_loss(layer(x), expected).backward()
        steps.step()
    torch.testing.assert_close(layer.tent, target.tent.to(layer.tent.dtype), rtol=0.02, atol=0.02)


def test_a_plain_checkpoint_fills_a_layer_on_the_meta_device():
    with torch.device("meta"):
        layer = InterpodilConv2d(2, 3, tent="gaussian", learn_tent=True)
    layer.load_state_dict(torch.nn.Conv2d(2, 3, 3).state_dict(), assign=True)

    expected = profile_tent((2, 2), "gaussian").float()
    torch.testing.assert_close(layer.tent.detach(), expected)
