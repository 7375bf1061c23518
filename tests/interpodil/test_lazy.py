"""Lazy modules become what they stand for at their first input."""

import pytest
import torch

import interpodil

DIMS = (1, 2, 3)


@pytest.mark.parametrize("dims", DIMS)
def test_becomes_the_layer_with_the_same_parameters(dims):
    lazy = getattr(interpodil, f"LazyInterpodilConv{dims}d")(4, 3, padding=1, edge=0.3, corner=0.1)
    layer_type = getattr(interpodil, f"InterpodilConv{dims}d")
    input = torch.randn(1, 2, *(8,) * dims)

    torch.manual_seed(0)
    output = lazy(input)
    torch.manual_seed(0)
    layer = layer_type(2, 4, 3, padding=1, edge=0.3, corner=0.1)

    assert type(lazy) is layer_type
    assert repr(lazy) == repr(layer)
    torch.testing.assert_close(lazy.state_dict(), layer.state_dict())
    torch.testing.assert_close(output, layer(input))


def test_takes_a_cast_before_its_first_input():
    lazy = interpodil.LazyInterpodilConv2d(4, 3).double()

    lazy(torch.randn(1, 2, 8, 8, dtype=torch.float64))

    assert lazy.weight.dtype == lazy.fixed_tent.dtype == torch.float64


def test_takes_its_channels_from_a_state_dict():
    layer = interpodil.InterpodilConv2d(2, 4, 3)
    lazy = interpodil.LazyInterpodilConv2d(4, 3)

    lazy.load_state_dict(layer.state_dict())

    input = torch.randn(1, 2, 8, 8)
    torch.testing.assert_close(lazy(input), layer(input))


@pytest.mark.parametrize("tent", [{"learn_tent": "channel"}, {"tent": torch.ones(5, 3, 3)}])
def test_refuses_a_tent_per_channel_before_it_knows_the_channels(tent):
    with pytest.raises(ValueError, match="one tent per channel needs the number of input channels"):
        interpodil.LazyInterpodilConv2d(4, 3, **tent)
