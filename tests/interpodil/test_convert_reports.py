"""A conversion says what it left and why, and warns where it was probably not meant so."""

import re
import warnings

import pytest
import torch
import torchvision
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from interpodil import InterpodilConv2d, convert, spatial
from tests.interpodil.kinds import toy


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
    model = torchvision.models.resnet18(weights=None)
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
        (toy, ["0", "9"], "part of where had no effect: no name such as 0, 2 matches 9"),
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
