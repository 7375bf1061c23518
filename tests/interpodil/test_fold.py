"""A folded layer is a plain convolution, and its outputs are equal."""

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
    fold,
)

EXACT = {"rtol": 1e-10, "atol": 1e-12}
CASES = [
    (InterpodilConv2d, {}),
    (InterpodilConv2d, {"padding": 1, "stride": 2, "groups": 2}),
    (InterpodilConv2d, {"padding": 1, "growth": 5, "bias": False}),
    (InterpodilConv2d, {"fade": 2.5, "edge": 0.7, "corner": 0.1, "padding": (0, 2)}),
    (InterpodilConv2d, {"kernel_size": (3, 1), "dilation": (2, 3), "stride": (1, 2)}),
    # A surplus that is odd, on both axes or on one.
    (InterpodilConv2d, {"kernel_size": 2}),
    (InterpodilConv2d, {"kernel_size": (2, 3), "padding": 1, "groups": 4}),
    (InterpodilConv2d, {"kernel_size": (3, 4), "dilation": (3, 2), "stride": 3, "padding": (1, 2)}),
    (InterpodilConv2d, {"dilation": 1, "fade": 0, "padding": 1}),
    (InterpodilConv2d, {"padding": 1, "learn_tent": "channel"}),
    (InterpodilConv2d, {"padding": 1, "tent": "cosine", "algorithm": "axis_first"}),
    (InterpodilConv1d, {"padding": 1, "dilation": 3}),
    (InterpodilConv1d, {"kernel_size": 2, "stride": 2, "learn_tent": True}),
    (InterpodilConv3d, {"padding": 1, "groups": 4}),
    (InterpodilConv3d, {"kernel_size": (2, 3, 2), "stride": (1, 2, 1), "growth": None}),
]


def plain_types(model):
    return {type(m) for m in model.modules() if isinstance(m, nn.modules.conv._ConvNd)}


@pytest.mark.parametrize(("kind", "arguments"), CASES)
def test_outputs_are_equal(kind, arguments):
    for padding_mode in ("zeros", "reflect", "replicate", "circular"):
        layer = kind(4, 8, **arguments, padding_mode=padding_mode, dtype=torch.float64)
        if layer.raw_tent is not None:
            nn.init.normal_(layer.raw_tent)
        plain = fold(layer)
        assert plain.padding_mode == padding_mode
        axes = len(layer.kernel_size)
        assert type(plain) is {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[axes]
        assert plain.state_dict().keys() == (
            {"weight", "bias"} if plain.bias is not None else {"weight"}
        )
        for size in ((13, 12, 11), (14, 13, 12)):
            x = torch.randn(2, 4, *size[:axes], dtype=torch.float64)
            torch.testing.assert_close(plain(x), layer(x), **EXACT)
            torch.testing.assert_close(plain(x[0]), layer(x[0]), **EXACT)


@pytest.mark.parametrize("padding_mode", ["zeros", "circular"])
@pytest.mark.parametrize("kernel_size", [3, 2])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_named_padding(padding, kernel_size, padding_mode):
    layer = InterpodilConv2d(
        2, 3, kernel_size, padding=padding, padding_mode=padding_mode, dtype=torch.float64
    )
    plain = fold(layer)
    assert plain.padding == ("same" if padding == "same" else (2, 2))
    x = torch.randn(1, 2, 9, 10, dtype=torch.float64)
    torch.testing.assert_close(plain(x), layer(x), **EXACT)


def test_a_real_model():
    model = torchvision.models.mobilenet_v3_small(weights=None).eval()
    convert(model, keep_variance=True)
    x = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        expected = model(x)
        assert fold(model) is model
        actual = model(x)
    assert plain_types(model) == {nn.Conv2d}
    # Untrained, the outputs are small: compare with their own size.
    assert expected.std() > 0
    assert (actual - expected).abs().max() < 1e-4 * expected.abs().max()


def test_all_that_a_layer_has_is_kept():
    layer = InterpodilConv2d(4, 8, padding=1, dtype=torch.bfloat16)
    layer.weight.requires_grad_(False)
    plain = fold(layer.eval().to(memory_format=torch.channels_last))
    assert not plain.training
    assert not plain.weight.requires_grad
    assert plain.bias.requires_grad
    assert plain.weight.dtype == plain.bias.dtype == torch.bfloat16
    assert plain.weight.stride()[1] == 1
    assert plain.weight.is_contiguous(memory_format=torch.channels_last)
    assert fold(InterpodilConv2d(4, 8)).weight.is_contiguous()
    assert fold(InterpodilConv2d(4, 8, device="meta")).weight.is_meta


@pytest.mark.parametrize("arguments", [{}, {"dilation": 1, "padding": "same"}])
def test_the_layer_is_left_alone(arguments):
    layer = InterpodilConv2d(2, 3, **arguments)
    before = copy.deepcopy(layer.state_dict())
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    plain = fold(layer)
    assert torch.equal(torch.rand(4), expected)
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.fill_(1.0)
    assert all(torch.equal(v, before[k]) for k, v in layer.state_dict().items())


def test_a_shared_layer_is_folded_once_everywhere():
    layer = InterpodilConv2d(4, 4, padding=1)
    model = nn.ModuleDict({"a": nn.Sequential(layer, nn.ReLU()), "b": layer})
    fold(model)
    assert type(model["b"]) is nn.Conv2d
    assert model["a"][0] is model["b"]


def test_parametrized_weights_are_folded_in():
    layer = parametrizations.weight_norm(InterpodilConv2d(2, 3, dtype=torch.float64))
    model = fold(nn.Sequential(layer))
    assert type(model[0]) is nn.Conv2d
    x = torch.randn(1, 2, 9, 9, dtype=torch.float64)
    torch.testing.assert_close(model(x), layer(x), **EXACT)


def test_hooks_are_not_lost_unseen():
    model = nn.Sequential(InterpodilConv2d(2, 3), InterpodilConv2d(3, 3))
    handle = model[1].register_forward_hook(lambda module, inputs, output: None)
    with pytest.raises(ValueError, match="would lose the hooks of 1, remove them first"):
        fold(model)
    assert plain_types(model) == {InterpodilConv2d}
    handle.remove()
    assert plain_types(fold(model)) == {nn.Conv2d}


def test_lazy_layers_are_refused():
    model = nn.Sequential(LazyInterpodilConv2d(3), LazyInterpodilConv2d(3))
    with pytest.raises(ValueError, match="folding needs weights, got 0, which is lazy"):
        fold(model)
    model(torch.ones(1, 2, 9, 9))
    assert plain_types(fold(model)) == {nn.Conv2d}


def test_a_folded_model_has_the_keys_of_the_plain_one():
    model = nn.Sequential(nn.Conv2d(3, 4, 7), nn.ReLU(), nn.Conv2d(4, 4, 3))
    keys = list(model.state_dict())
    convert(model, "0", learn_tent=True)
    assert list(model.state_dict()) != keys
    assert list(fold(model).state_dict()) == keys


def test_what_a_subclass_or_a_given_forward_does_is_not_lost():
    class Doubled(InterpodilConv2d):
        def forward(self, input):
            return 2 * super().forward(input)

    model = nn.Sequential(Doubled(2, 3))
    with pytest.raises(ValueError, match="folding would lose what a subclass does, got 0, Doubled"):
        fold(model)
    given = nn.Sequential(InterpodilConv2d(2, 3))
    given[0].forward = torch.relu
    with pytest.raises(ValueError, match="folding would lose the forward that 0 was given"):
        fold(given)
