"""After one pass over a batch every layer's output is as loud as was asked for."""

import copy

import pytest
import torch
import torchvision
from torch import nn
from torch.nn.utils import parametrizations

from interpodil import (
    InterpodilConv1d,
    InterpodilConv2d,
    InterpodilConv3d,
    LazyInterpodilConv2d,
    convert,
    lsuv_,
    spatial,
)


def images(count=4, size=64):
    """Noise with pixels that resemble their neighbors, as those of images do."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(count, 3, size, size, generator=generator)
    return nn.functional.avg_pool2d(noise, 5, 1, 2) * 3


def loudness(model, batch, layers):
    """Standard deviations of the layers' outputs without their bias, at the first call."""
    found = {}

    def note(layer, inputs, output):
        bias = 0 if layer.bias is None else layer.bias.view(-1, *[1] * (layer.weight.dim() - 2))
        found.setdefault(layer, (output - bias).std(correction=0).item())

    handles = [layer.register_forward_hook(note) for layer in layers]
    with torch.no_grad():
        model(batch)
    for handle in handles:
        handle.remove()
    return [found[layer] for layer in layers]


def chain_of_layers():
    torch.manual_seed(0)
    return nn.Sequential(
        InterpodilConv2d(3, 8, padding=1),
        nn.ReLU(),
        InterpodilConv2d(8, 8, padding=1, growth=5),
        nn.BatchNorm2d(8),
        nn.Dropout(0.3),
        InterpodilConv2d(8, 4, stride=2, bias=False),
    )


def test_a_real_model():
    torch.manual_seed(0)
    std = 0.3
    model = torchvision.models.resnet18(weights=None)
    changed = convert(model).changed
    batch = images(2, 96)
    layers = [change.after for change in changed]
    before = loudness(model, batch, layers)
    assert max(before) > 2 * min(before)
    buffers = {n: b.clone() for n, b in model.named_buffers()}
    factors = lsuv_(model, batch, std=std)
    assert set(factors) == {change.name for change in changed}
    assert all(torch.equal(b, buffers[n]) for n, b in model.named_buffers())
    assert loudness(model, batch, layers) == pytest.approx([std] * len(layers), rel=1e-3)


def test_later_layers_see_the_corrected_output():
    model = chain_of_layers().eval()
    batch = images()
    twin = copy.deepcopy(model)
    factors = lsuv_(model, batch)
    assert list(factors) == ["0", "2", "5"]
    for index, factor in zip((0, 2, 5), factors.values(), strict=True):
        torch.testing.assert_close(model[index].weight, twin[index].weight * factor)
    again = lsuv_(model, batch)
    assert list(again.values()) == pytest.approx([1.0] * 3, abs=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_all_else_is_left_alone(training):
    model = chain_of_layers().train(training)
    model[5].eval()
    weights = {id(model[i].weight) for i in (0, 2, 5)}
    identities = [id(t) for t in (*model.parameters(), *model.buffers())]
    others = {
        n: t.clone() for n, t in model.state_dict(keep_vars=True).items() if id(t) not in weights
    }
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    lsuv_(model, images())
    assert torch.equal(torch.rand(3), expected)
    assert [id(t) for t in (*model.parameters(), *model.buffers())] == identities
    assert all(torch.equal(model.state_dict()[n], t) for n, t in others.items())
    assert [m.training for m in model] == [training] * 5 + [False]
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert all(not m._forward_hooks for m in model.modules())


def test_buffers_that_are_replaced_come_back():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))
            self.conv = InterpodilConv2d(3, 4)

        def forward(self, x):
            self.calls = self.calls + 1
            return self.conv(x)

    model = Counting()
    calls = model.calls
    lsuv_(model, images())
    assert model.calls is calls
    assert calls == 0


@pytest.mark.parametrize("kind", [InterpodilConv1d, InterpodilConv3d])
def test_other_numbers_of_axes(kind):
    layer = kind(3, 8, padding=1)
    axes = len(layer.kernel_size)
    batch = torch.randn(4, 3, *[9] * axes)
    assert list(lsuv_(layer, batch)) == [""]
    assert loudness(layer, batch, [layer]) == pytest.approx([1.0], rel=1e-4)
    single = kind(3, 8, padding=1)
    lsuv_(single, batch[0])
    assert loudness(single, batch[0], [single]) == pytest.approx([1.0], rel=1e-4)


def test_chosen_layers():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), InterpodilConv2d(4, 4), nn.Conv2d(4, 4, 1))
    batch = images()
    assert list(lsuv_(model, batch, where=spatial)) == ["0", "1"]
    assert list(lsuv_(model, batch, where="2")) == ["2"]
    assert list(lsuv_(model, batch)) == ["1"]
    assert list(lsuv_(model, batch, where="*")) == ["0", "1", "2"]
    assert loudness(model, batch, list(model)) == pytest.approx([1.0] * 3, rel=1e-4)


class Twice(nn.Module):
    def __init__(self, first, second):
        super().__init__()
        self.first, self.second, self.unused = first, second, InterpodilConv2d(4, 4)

    def forward(self, x, scale=1.0):
        return self.second(self.first(x * scale))


def test_a_layer_that_is_called_twice_is_measured_at_the_first_call():
    layer = InterpodilConv2d(3, 3, padding=1)
    model = Twice(layer, layer)
    assert list(lsuv_(model, images())) == ["first"]
    assert loudness(model, images(), [layer]) == pytest.approx([1.0], rel=1e-4)


def test_a_shared_weight_is_scaled_once():
    model = Twice(InterpodilConv2d(3, 3, padding=1), InterpodilConv2d(3, 3, padding=1))
    model.second.weight = model.first.weight
    assert list(lsuv_(model, images())) == ["first"]
    assert loudness(model, images(), [model.first]) == pytest.approx([1.0], rel=1e-4)


def test_arguments_of_the_model():
    model = Twice(InterpodilConv2d(3, 4), InterpodilConv2d(4, 4))
    twins = [copy.deepcopy(model) for _ in range(2)]
    by_name = lsuv_(twins[0], {"x": images(), "scale": 2.0})
    by_position = lsuv_(twins[1], (images(), 2.0))
    assert by_name == by_position
    assert lsuv_(model, images())["first"] == pytest.approx(2 * by_name["first"], rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision(dtype):
    layer = InterpodilConv2d(3, 8, padding=1, bias=False, dtype=dtype)
    batch = images().to(dtype)
    lsuv_(layer, batch)
    assert layer(batch).float().std().item() == pytest.approx(1.0, rel=2e-3)


def zero(layer):
    nn.init.zeros_(layer.weight)


def overflow(layer):
    nn.init.constant_(layer.weight, 1e38)


@pytest.mark.parametrize("spoil", [zero, overflow])
def test_an_output_without_scale_changes_nothing(spoil):
    model = chain_of_layers()
    spoil(model[2])
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(
        ValueError, match=r"^the output of 2 must vary and be finite .* got a stand"
    ):
        lsuv_(model, images())
    assert all(torch.equal(v, before[n]) for n, v in model.state_dict().items())
    assert all(not m._forward_hooks for m in model.modules())


@pytest.mark.parametrize("value", [0.0, 1e6, torch.nan])
def test_a_constant_output(value):
    layer = InterpodilConv2d(3, 1, padding=1, padding_mode="circular")
    before = layer.weight.detach().clone()
    with pytest.raises(ValueError, match=r"^the output of the layer must vary"):
        lsuv_(layer, torch.full((2, 3, 16, 16), value))
    assert torch.equal(layer.weight, before)


def test_what_is_refused():
    for std in (0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=f"std must be finite and > 0, got {std}"):
            lsuv_(chain_of_layers(), images(), std=std)
    with pytest.raises(ValueError, match="got none in Conv2d for where=None"):
        lsuv_(nn.Conv2d(3, 4, 3), images())
    with pytest.raises(ValueError, match=r"needs a layer to scale, .* where='stem'"):
        lsuv_(chain_of_layers(), images(), where="stem")
    with pytest.raises(ValueError, match="has run once, got 1, which is lazy"):
        lsuv_(nn.Sequential(InterpodilConv2d(3, 4), LazyInterpodilConv2d(4)), images())
    model = nn.Sequential(parametrizations.weight_norm(InterpodilConv2d(3, 4)))
    with pytest.raises(ValueError, match="parameters themselves, got 0 with computed ones"):
        lsuv_(model, images())
