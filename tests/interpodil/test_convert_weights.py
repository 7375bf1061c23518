"""A conversion that fails changes nothing, and weights change only to keep the variance."""

import copy
import warnings

import pytest
import torch
from torch import nn

from interpodil import convert, expansion_gain, stem, three_by_three
from tests.interpodil.kinds import toy


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
        # The first, of 3x3 taps, would fit.
        ({"growth": 7}, r"^1: growth must be .* got 7"),
        ({"where": three_by_three, "fade": -1}, r"^0: fade must be .* got -1"),
        ({"where": three_by_three, "tent": "pointy"}, r"^0: .*pointy"),
        ({"where": three_by_three, "algorithm": "quick"}, r"^0: .*quick"),
        ({"where": 3}, "where must be a glob pattern .* got 3"),
        ({"where": []}, r"where must be a glob pattern .* got \[\]"),
        ({"where": [stem]}, "where must be a glob pattern"),
        ({"optimizer": "sgd"}, "optimizer must be .* got str"),
    ],
)
def test_errors_change_nothing(arguments, message):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 7))
    before = frozen_state(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match=message):
        convert(
            model,
            **{"optimizer": optimizer, "learn_tent": True, "keep_variance": True, **arguments},
        )
    assert_same_state(before, frozen_state(model))
    assert len(optimizer.param_groups) == 1


def test_a_warning_that_is_made_an_error_changes_nothing():
    model = toy()
    before = frozen_state(model)
    optimizer = torch.optim.SGD(model[2:].parameters(), lr=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="holds no weight of 0"):
            convert(model, optimizer=optimizer, learn_tent=True, keep_variance=True)
    assert_same_state(before, frozen_state(model))
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize("arguments", [{}, {"growth": 5}, {"fade": 2.5, "edge": 0.7}])
@pytest.mark.parametrize("init_scale", [1.0, 0.5])
def test_keep_variance(arguments, init_scale):
    torch.manual_seed(0)
    plain = nn.Conv2d(32, 96, 3, bias=False)
    layer = convert(
        copy.deepcopy(plain), keep_variance=True, init_scale=init_scale, **arguments
    ).model
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
