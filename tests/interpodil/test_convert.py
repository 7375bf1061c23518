"""Conversion swaps the convolutions of a real model, those that were asked for and no others."""

import copy
import functools
import re
import warnings

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from interpodil.conv import InterpodilConv1d, InterpodilConv2d, InterpodilConv3d
from interpodil.conversion import convert
from interpodil.init import expansion_gain
from interpodil.where import spatial, stem, three_by_three

NAMES = ["resnet18", "mobilenet_v3_small"]
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


def toy():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1, bias=False)
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("arguments", "sizes"),
    [
        ({}, {(3, 3): (7, 7), (5, 5): (11, 11), (7, 7): (15, 15)}),
        # Kernels of several sizes have no growth in common.
        ({"where": three_by_three, "growth": 5}, {(3, 3): (5, 5)}),
    ],
)
def test_a_real_model_works_on(name, arguments, sizes):
    model, original = model_of(name), untouched(name)
    parameters = dict(model.named_parameters())
    conversion = convert(model, **arguments)
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


def test_chosen_in_a_model_with_depthwise_convolutions():
    model = model_of("mobilenet_v3_small")
    assert [change.name for change in convert(model, stem).changed] == ["features.0.0"]
    depthwise = convert(model, lambda name, conv: conv.groups > 1).changed
    assert len(depthwise) == 11
    assert {change.after.kernel_size for change in depthwise} == {(3, 3), (5, 5)}
    assert all(change.after.groups == change.before.groups for change in depthwise)


@pytest.mark.parametrize("training", [True, False])
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
def test_arguments_are_kept(plain, size, dtype, training):
    """Without a tent the layer is the dilated convolution, padded for its wider kernel."""
    plain = copy.deepcopy(plain).to(dtype).train(training)
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
    conv.is_initialised = True
    assert convert(conv).model.is_initialised


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_what_cannot_be_swapped_is_reported():
    class Own(nn.Conv2d):
        pass

    masked = nn.Conv2d(4, 4, 3)
    masked.register_buffer("mask", torch.ones(3, 3))
    patched = nn.Conv2d(4, 4, 3)
    patched.forward = lambda x: x
    hooked = nn.Conv2d(4, 4, 3)
    hooked.register_forward_hook(lambda module, inputs, output: None)
    saved = nn.Conv2d(4, 4, 3)
    saved.register_state_dict_post_hook(lambda *arguments: None)
    modules = {
        "own": (Own(4, 4, 3), "a subclass, Own"),
        "normed": (parametrizations.weight_norm(nn.Conv2d(4, 4, 3)), "parametrized"),
        "old": (nn.utils.weight_norm(nn.Conv2d(4, 4, 3)), r"with hooks \(WeightNorm\)"),
        "pruned": (prune.identity(nn.Conv2d(4, 4, 3), "weight"), r"with hooks \(Identity"),
        "hooked": (hooked, r"with hooks \(<lambda>\)"),
        "saved": (saved, r"with hooks \(<lambda>\)"),
        "masked": (masked, "with parameters, buffers"),
        "patched": (patched, "with a forward of its own"),
        "dilated": (nn.Conv2d(4, 4, 3, dilation=(1, 2)), r"a dilation of \(1, 2\), not 1"),
        "lazy": (nn.LazyConv2d(4, 3), "lazy"),
        "transposed": (nn.ConvTranspose2d(4, 4, 3), "a transposed convolution"),
        "already": (InterpodilConv2d(4, 4, 3), "interpodilated already"),
    }
    model = nn.ModuleDict({name: module for name, (module, _) in modules.items()})
    model["plain"] = nn.Conv2d(4, 4, 3)
    model["small"] = nn.Conv2d(4, 4, 1)
    conversion = convert(model)
    assert [change.name for change in conversion.changed] == ["plain"]
    skipped = {skip.name: skip.reason for skip in conversion.skipped}
    assert skipped.pop("small") == "not chosen"
    assert skipped.keys() == modules.keys()
    for name, (module, reason) in modules.items():
        assert re.match(reason, skipped[name]), name
        assert model[name] is module
    assert parametrize.is_parametrized(model["normed"])


def test_report():
    model = model_of("resnet18")
    model.layer4[1].conv2 = nn.Conv2d(512, 512, 3, padding=2, dilation=2)
    assert str(convert(model)) == "\n".join(
        [
            "16 of 20 convolutions interpodilated",
            "  from 7x7 to 15x15: conv1",
            "  from 3x3 to 7x7: layer1.0.conv1, layer1.0.conv2, layer1.1.conv1, layer1.1.conv2 "
            "and 11 more",
            "  left, not chosen: layer2.0.downsample.0, layer3.0.downsample.0, "
            "layer4.0.downsample.0",
            "  left, a dilation of (2, 2), not 1: layer4.1.conv2",
        ]
    )
    assert "the model itself" in str(convert(nn.Conv2d(3, 4, 3)))


@pytest.mark.parametrize(
    ("make", "where", "message"),
    [
        (toy, "conv*", "nothing was converted: no name such as 0, 2 matches conv*"),
        (toy, ["a", "b"], "nothing was converted: no name such as 0, 2 matches a or b"),
        (toy, lambda name, conv: False, "nothing was converted: not chosen: 0, 2"),
        (lambda: nn.Sequential(nn.ReLU()), spatial, "nothing was converted: the model has no conv"),
        (
            lambda: nn.Sequential(InterpodilConv2d(3, 4), nn.Conv2d(4, 4, 3, dilation=3)),
            spatial,
            "nothing was converted: interpodilated already: 0; a dilation of (3, 3), not 1: 1",
        ),
        (toy, ["0", "9"], "where is of no use in part: no name such as 0, 2 matches 9"),
    ],
)
def test_warnings(make, where, message):
    with pytest.warns(UserWarning, match=re.escape(message)) as caught:
        convert(make(), where)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_no_warning_where_all_is_well():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convert(toy(), ["0", "2"])


def frozen_state(model):
    return (
        [type(module) for module in model.modules()],
        [id(module) for module in model.modules()],
        [value.clone() for value in model.state_dict().values()],
    )


def assert_same_state(before, after):
    assert before[:2] == after[:2]
    assert all(map(torch.equal, before[2], after[2]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        # The stem has 7x7 taps, so a larger window; the 3x3 ones would fit.
        ({"growth": 5}, r"^conv1: growth must be .* got 5"),
        ({"where": three_by_three, "fade": -1}, r"^layer1\.0\.conv1: fade must be .* got -1"),
        ({"where": three_by_three, "tent": "pointy"}, r"^layer1\.0\.conv1: .*pointy"),
        ({"where": three_by_three, "algorithm": "quick"}, r"^layer1\.0\.conv1: .*quick"),
        ({"where": 3}, "where must be a glob pattern .* got 3"),
        ({"where": []}, r"where must be a glob pattern .* got \[\]"),
        ({"where": [stem]}, "where must be a glob pattern"),
        ({"optimizer": "sgd"}, "optimizer must be .* got str"),
    ],
)
def test_errors_change_nothing(arguments, message):
    model = model_of("resnet18")
    before = frozen_state(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match=message):
        convert(
            model,
            **{"optimizer": optimizer, "learn_tent": True, "keep_variance": True, **arguments},
        )
    assert_same_state(before, frozen_state(model))
    assert len(optimizer.param_groups) == 1


def test_an_error_for_a_later_convolution_changes_nothing():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 7))
    before = frozen_state(model)
    with pytest.raises(ValueError, match=r"^1: growth must be .* got 7"):
        convert(model, growth=7, keep_variance=True)
    assert_same_state(before, frozen_state(model))


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


@pytest.mark.parametrize("arguments", [{}, {"growth": 5}, {"fade": 2.5, "edge": 0.7}])
@pytest.mark.parametrize("init_scale", [1.0, 0.5])
def test_keep_variance(arguments, init_scale):
    torch.manual_seed(0)
    plain = nn.Conv2d(32, 96, 3, bias=False)
    layer = convert(
        copy.deepcopy(plain), keep_variance=True, init_scale=init_scale, **arguments
    ).model
    x = torch.randn(4, 32, 40, 40)
    inside = layer(x)[..., 6:-6, 6:-6]
    assert inside.std().item() == pytest.approx(init_scale * plain(x).std().item(), rel=0.03)
    gain = expansion_gain(3, **arguments)
    torch.testing.assert_close(layer.weight, plain.weight * init_scale / gain)


def test_keep_variance_scales_a_shared_weight_once():
    model = toy()
    model.append(nn.Conv2d(4, 4, 3))
    model[3].weight = model[2].weight
    weight = model[2].weight
    before = weight.detach().clone()
    convert(model, ["2", "3"], keep_variance=True)
    assert model[2].weight is model[3].weight is weight
    torch.testing.assert_close(weight, before / 1.5)


def test_keep_variance_refuses_weights_that_others_use():
    model = toy()
    model.append(nn.Conv2d(4, 4, 3, dilation=2))
    model[3].weight = model[2].weight
    before = frozen_state(model)
    with pytest.raises(ValueError, match=r"of layers that stay, got 3, whose weight"):
        convert(model, keep_variance=True)
    assert_same_state(before, frozen_state(model))
