"""Layers that are copied, stored, shared and replicated."""

import copy
import io
import pickle

import pytest
import torch

from interpodil import InterpodilConv2d

SETTINGS = [
    {"fade": 1.7, "edge": 0.3, "corner": 0.1},
    {"growth": 5, "algorithm": "expanded"},
    {"tent": "gaussian", "algorithm": "separable_tent"},
    {"tent": torch.tensor([[0.1, 0.4, 0.2], [0.5, 1.0, 0.3], [0.0, 0.6, 0.7]])},
    {"learn_tent": "channel", "algorithm": "tent_first"},
    {"dilation": 1, "fade": 0},
]


def trained(settings):
    """A layer whose numbers are no fresh layer's."""
    layer = InterpodilConv2d(2, 3, padding=1, **settings)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1)
    return layer


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("double", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_and_pickles(settings, double):
    layer = trained(settings)
    x = torch.randn(1, 2, 6, 6)
    twin = double(layer)
    torch.testing.assert_close(twin(x), layer(x), rtol=0, atol=0)
    assert repr(twin) == repr(layer)
    before = layer(x)
    with torch.no_grad():
        twin.weight.add_(1)
    assert torch.equal(layer(x), before)
    assert not torch.equal(twin(x), before)
    torch.testing.assert_close(twin.double()(x.double()).float(), twin.float()(x))


@pytest.mark.parametrize("settings", SETTINGS)
def test_state_dicts_load_as_weights_only(settings):
    layer, file = trained(settings), io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    again = InterpodilConv2d(2, 3, padding=1, **settings)
    again.load_state_dict(torch.load(file, weights_only=True), strict=True)
    x = torch.randn(1, 2, 6, 6)
    torch.testing.assert_close(again(x), layer(x), rtol=0, atol=0)


@pytest.mark.parametrize("settings", SETTINGS)
def test_replicas(settings):
    """As `nn.DataParallel` makes them: parameters become plain tensors, buffers are copied."""
    layer = InterpodilConv2d(2, 3, padding=1, **settings)
    replica = layer._replicate_for_data_parallel()
    for name, parameter in layer._parameters.items():
        if parameter is None:
            replica._parameters[name] = None
        else:
            setattr(replica, name, parameter.clone())
    for name, buffer in layer.named_buffers():
        assert replica.get_buffer(name) is buffer
        setattr(replica, name, buffer.clone())
    x = torch.randn(1, 2, 8, 7)
    output = replica(x)
    torch.testing.assert_close(output, layer(x), rtol=0, atol=0)
    output.square().sum().backward()
    assert all(parameter.grad.any() for parameter in layer.parameters())
