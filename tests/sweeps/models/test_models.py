"""The models: shapes, what is counted of them, what does not fit."""

import pytest
import torch

from sweeps.errors import SweepsError
from sweeps.models import build_model, model_facts
from sweeps.spec.config import RunConfig, check_run


def _config(**values):
    return RunConfig().with_values({name.replace("__", "."): v for name, v in values.items()})


@pytest.mark.parametrize("size", [16, 32, 33, 96])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_tutorial_model_takes_any_size_and_stride(size, stride):
    model = build_model(_config(layer__stride=stride), size=size, num_classes=7)
    assert model(torch.randn(2, 3, size, size)).shape == (2, 7)


@pytest.mark.parametrize("stride", [2, 8])
def test_resnet18_takes_the_layer_as_stem(stride):
    config = _config(model__name="resnet18", layer__stride=stride)
    model = build_model(config, size=64, num_classes=5).eval()
    assert model(torch.randn(1, 3, 64, 64)).shape == (1, 5)
    assert model.conv1.effective_size == (7, 7)
    assert model.conv1.stride == (stride, stride)
    assert model.conv1.bias is None


def test_a_stride_that_leaves_nothing_is_refused():
    with pytest.raises(SweepsError, match="stride 8 leaves nothing of images of 16 pixels"):
        check_run(_config(layer__stride=8), 16, 1000)
    check_run(_config(layer__stride=4), 16, 1000)


@pytest.mark.parametrize(
    ("values", "kernel", "field"),
    [
        # 3x3 at distance 1, pool at 1, 3x3 at 2, pool at 2: 3 + 1 + 4 + 2.
        ({"layer__dilation": 1, "layer__growth": 3}, "3x3", 10),
        ({"layer__growth": 5}, "5x5", 12),
        ({"layer__growth": 7}, "7x7", 14),
        # Behind a stride of 2 the rest sees twice as far: 7 + 2 + 8 + 4.
        ({"layer__growth": 7, "layer__stride": 2}, "7x7", 21),
    ],
)
def test_facts_of_the_tutorial_model(values, kernel, field):
    facts = model_facts(build_model(_config(**values), size=32, num_classes=10), 32)
    assert facts.kernel_size == kernel
    assert facts.receptive_field == field
    # Nine weights a channel pair, whatever the effective kernel.
    left = 8 // values.get("layer__stride", 1)
    assert facts.parameters == 35 * 28 + 35 * (35 * 9 + 1) + 10 * (35 * left**2 + 1)


def test_the_receptive_field_is_what_gradients_reach():
    config = _config(layer__growth=7, layer__stride=2)
    model = build_model(config, size=64, num_classes=10)
    for parameter in model.parameters():
        torch.nn.init.constant_(parameter, 0.01)
    images = torch.ones(1, 3, 64, 64, requires_grad=True)
    # Averages in place of maxima, so that every pixel that is seen has a gradient.
    inner = torch.nn.functional.avg_pool2d(model.conv1(images), 2)
    inner = torch.nn.functional.avg_pool2d(model.conv2(inner), 2)
    inner[0, 0, 4, 4].backward()
    seen = (images.grad.abs().sum((0, 1)) > 0).any(0).sum()
    assert int(seen) == model_facts(model, 64).receptive_field


def test_a_plain_baseline_is_a_plain_convolution():
    config = _config(layer__dilation=1, layer__growth=3)
    layer = build_model(config, size=32, num_classes=10).conv1
    images = torch.randn(1, 3, 32, 32)
    expected = torch.nn.functional.conv2d(images, layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer(images), expected)
