"""Conversion swaps the convolutions of a real model, those that were asked for and no others."""

import copy
import functools

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from interpodil import (
    InterpodilConv1d,
    InterpodilConv2d,
    InterpodilConv3d,
    convert,
    spatial,
    stem,
    three_by_three,
)
from tests.interpodil.kinds import toy

INTERPODIL = (InterpodilConv1d, InterpodilConv2d, InterpodilConv3d)


@functools.cache
def untouched(name):
    torch.manual_seed(0)
    return getattr(torchvision.models, name)(weights=None)


def model_of(name):
    return copy.deepcopy(untouched(name))


def convolutions(model):
    return {name: m for name, m in model.named_modules() if isinstance(m, nn.Conv2d)}


def interpodilated(model):
    return {name for name, m in model.named_modules() if isinstance(m, INTERPODIL)}


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_a_real_model_works_on(name):
    sizes = {(3, 3): (7, 7), (5, 5): (11, 11), (7, 7): (15, 15)}
    model, original = model_of(name), untouched(name)
    parameters = dict(model.named_parameters())
    conversion = convert(model)
    assert conversion.model is model
    assert len(conversion.changed) > 3
    assert interpodilated(model) == {change.name for change in conversion.changed}
    layers = [change.after for change in conversion.changed]
    assert all(layer.effective_size == sizes[layer.kernel_size] for layer in layers)
    assert all(p is parameters[n] for n, p in model.named_parameters())
    assert list(model.state_dict()) == list(original.state_dict())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    model.load_state_dict(original.state_dict(), strict=True)
    assert all(torch.equal(v, original.state_dict()[k]) for k, v in model.state_dict().items())
    with torch.no_grad():
        output = model(torch.randn(2, 3, 224, 224))
    assert output.shape == (2, 1000)
    assert output.isfinite().all()


RESNET_3X3 = {f"layer{i}.{j}.conv{k}" for i in (1, 2, 3, 4) for j in (0, 1) for k in (1, 2)}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (spatial, {"conv1", *RESNET_3X3}),
        (stem, {"conv1"}),
        (three_by_three, RESNET_3X3),
        ("conv1", {"conv1"}),
        ("layer[12].?.conv2", {f"layer{i}.{j}.conv2" for i in (1, 2) for j in (0, 1)}),
        (
            ["conv1", "layer4.*"],
            {"conv1", "layer4.0.downsample.0"} | {n for n in RESNET_3X3 if n.startswith("layer4")},
        ),
        (
            lambda name, conv: conv.stride == (2, 2) and conv.kernel_size == (1, 1),
            {f"layer{i}.0.downsample.0" for i in (2, 3, 4)},
        ),
    ],
)
def test_chosen_are_exactly_those(where, expected):
    model = model_of("resnet18")
    before = convolutions(model)
    conversion = convert(model, where)
    assert {change.name for change in conversion.changed} == expected
    assert {skip.name for skip in conversion.skipped} == before.keys() - expected
    assert all(skip.reason == "not chosen" for skip in conversion.skipped)
    for name, conv in convolutions(model).items():
        assert (type(conv) is InterpodilConv2d) == (name in expected)
        assert (conv is before[name]) == (name not in expected)
    assert all(change.before is before[change.name] for change in conversion.changed)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize(
    ("plain", "size"),
    [
        (nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), (9, 10)),
        (nn.Conv2d(4, 6, (3, 5), padding=(1, 2), padding_mode="circular", bias=False), (9, 10)),
        (nn.Conv2d(4, 6, 3, padding="same", padding_mode="reflect"), (9, 10)),
        (nn.Conv2d(4, 6, 3, stride=(1, 3), padding="valid"), (9, 10)),
        (nn.Conv2d(4, 4, 5, padding=2, groups=4, padding_mode="replicate"), (9, 10)),
        (nn.Conv1d(4, 6, 3, stride=2, padding=1), (11,)),
        (nn.Conv3d(4, 6, 3, padding=1, groups=2), (5, 6, 7)),
    ],
    ids=repr,
)
def test_arguments_are_kept(plain, size, dtype):
    """Without a tent the layer is the dilated convolution, padded for its wider kernel."""
    plain = copy.deepcopy(plain).to(dtype).eval()
    plain.weight.requires_grad_(False)
    layer = convert(plain, edge=0.0, corner=0.0).model
    for name in ("stride", "padding", "groups", "padding_mode", "training", "kernel_size"):
        assert getattr(layer, name) == getattr(plain, name)
    assert layer.weight is plain.weight
    assert layer.bias is plain.bias
    assert layer.weight.dtype == dtype
    assert not layer.weight.requires_grad
    x = torch.randn(2, 4, *size, dtype=dtype)
    same = plain.padding == "same"
    base = (0,) * len(size) if plain.padding == "valid" else plain.padding
    pads = [
        (k - 1) if same else p + (k - 1) // 2
        for p, k in zip(plain.kernel_size if same else base, plain.kernel_size, strict=True)
    ]
    mode = "constant" if plain.padding_mode == "zeros" else plain.padding_mode
    padded = F.pad(x, [p for p in reversed(pads) for _ in (0, 1)], mode=mode)
    convolve = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[len(size)]
    expected = convolve(padded, plain.weight, plain.bias, plain.stride, 0, 2, plain.groups)
    actual = layer(x)
    assert actual.shape == plain(x).shape
    torch.testing.assert_close(
        actual,
        expected,
        rtol=1e-1 if dtype == torch.bfloat16 else 1e-12,
        atol=1e-1 if dtype == torch.bfloat16 else 1e-12,
    )


def test_layer_arguments_are_passed_on():
    arguments = {
        "dilation": 3,
        "fade": 1.5,
        "growth": 9,
        "edge": 0.4,
        "corner": 0.1,
        "init_scale": 1.5,
        "algorithm": "expanded",
    }
    layer = convert(nn.Conv2d(2, 3, 3), **arguments).model
    assert repr(layer) == repr(InterpodilConv2d(2, 3, 3, **arguments))
    cosine = convert(nn.Conv2d(2, 3, 3), tent="cosine").model
    assert torch.equal(cosine.tent, InterpodilConv2d(2, 3, tent="cosine").tent)


def test_a_shared_convolution_is_swapped_once_everywhere():
    conv = nn.Conv2d(4, 4, 3, padding=1)
    model = nn.ModuleDict(
        {"a": nn.Sequential(conv, nn.ReLU()), "b": conv, "c": nn.Sequential(conv)}
    )
    conversion = convert(model, "b")
    assert [change.name for change in conversion.changed] == ["a.0"]
    assert model["a"][0] is model["b"] is model["c"][0] is conversion.changed[0].after
    assert isinstance(model["b"], InterpodilConv2d)
    assert conversion.skipped == ()


def test_a_model_that_is_a_convolution():
    conv = nn.Conv2d(3, 4, 3)
    conversion = convert(conv)
    assert isinstance(conversion.model, InterpodilConv2d)
    assert conversion.model is conversion.changed[0].after
    assert conversion.changed[0].name == ""
    assert type(conv) is nn.Conv2d


def test_notes_on_a_layer_are_kept():
    conv = nn.Conv2d(3, 4, 3)
    conv.is_initialized = True
    assert convert(conv).model.is_initialized


def test_a_model_on_the_meta_device():
    model = convert(toy().to("meta"), learn_tent=True).model
    assert model(torch.empty(1, 3, 8, 8, device="meta")).shape == (1, 4, 8, 8)
    assert all(t.is_meta for t in (*model.parameters(), *model.buffers()))


def test_random_state_is_kept():
    model = toy()
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    convert(model, learn_tent=True)
    assert torch.equal(torch.rand(4), expected)
