"""The names of learned tents, for groups of parameters without weight decay."""

import pytest
import torchvision
from torch import nn
from torch.nn.utils import parametrize

from interpodil import (
    InterpodilConv1d,
    InterpodilConv2d,
    InterpodilConv3d,
    convert,
    no_weight_decay,
    stem,
    three_by_three,
)


def test_names_in_a_real_model():
    model = torchvision.models.resnet18(weights=None)
    assert no_weight_decay(model) == set()
    convert(model, stem)
    assert no_weight_decay(model) == set()
    changed = convert(model, three_by_three, learn_tent=True).changed
    names = no_weight_decay(model)
    assert names == {f"{change.name}.raw_tent" for change in changed}
    assert len(names) == 16
    assert names <= dict(model.named_parameters()).keys()


@pytest.mark.parametrize("kind", [InterpodilConv1d, InterpodilConv2d, InterpodilConv3d])
@pytest.mark.parametrize("learn_tent", ["layer", "channel"])
def test_a_layer_alone(kind, learn_tent):
    assert no_weight_decay(kind(3, 4, learn_tent=learn_tent)) == {"raw_tent"}


def test_a_layer_under_two_names():
    layer = InterpodilConv2d(3, 3, learn_tent=True)
    assert no_weight_decay(nn.Sequential(layer, layer)) == {"0.raw_tent", "1.raw_tent"}


def test_a_parametrized_tent():
    layer = InterpodilConv2d(3, 3, learn_tent=True)
    parametrize.register_parametrization(layer, "raw_tent", nn.Identity())
    names = no_weight_decay(nn.Sequential(layer))
    assert names == {"0.parametrizations.raw_tent.original"}
    assert names <= dict(nn.Sequential(layer).named_parameters()).keys()
