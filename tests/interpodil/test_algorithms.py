"""Which algorithm may be named when."""

import contextlib
import copy
import itertools

import pytest
import torch

from interpodil import InterpodilConv2d, interpodil_conv2d
from tests.interpodil.kinds import LAYERS, PATHS, assert_near

SKEW = torch.tensor([[0.1, 0.4, 0.2], [0.5, 1.0, 0.3], [0.0, 0.6, 0.7]])
# What rules a path out, and words of the reason.
UNEQUAL_TENTS = [
    ({"fade": 2.0}, "fade"),
    ({"fade": (1, 0)}, "fade"),
    ({"growth": 5}, "crop"),
    ({"growth": (None, 5)}, "crop"),
]
INSEPARABLE = [
    ({"edge": 0.5, "corner": 0.3}, "product"),
    ({"tent": SKEW}, "product"),
    ({"tent": SKEW.expand(2, 3, 3)}, "product"),
]
REFUSED = [
    *((path, *rule) for path in ("tent_first", "separable_tent") for rule in UNEQUAL_TENTS),
    *((path, *rule) for path in ("separable_tent", "axis_first") for rule in INSEPARABLE),
    ("separable_tent", {"learn_tent": True}, "learned"),
    ("axis_first", {"learn_tent": True}, "learned"),
]


@pytest.mark.parametrize(("path", "arguments", "reason"), REFUSED)
def test_a_path_that_does_not_apply_is_refused(path, arguments, reason):
    with pytest.raises(ValueError, match=rf"^.*{path}.*\Z") as refusal:
        InterpodilConv2d(2, 3, algorithm=path, **arguments)
    assert reason in str(refusal.value)
    if "learn_tent" not in arguments:
        x, weight = torch.zeros(1, 2, 9, 9), torch.zeros(3, 2, 3, 3)
        with pytest.raises(ValueError, match=rf"^.*{path}.*\Z"):
            interpodil_conv2d(x, weight, algorithm=path, **arguments)


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("tent_first", {"fade": 2.0}),
        ("axis_first", {"corner": 0.3}),
    ],
)
def test_a_path_named_later_is_refused_too(path, arguments):
    layer = InterpodilConv2d(2, 3, padding=1, **arguments)
    x = torch.randn(1, 2, 9, 9)
    expected = layer(x)

    def rename():
        layer.algorithm = path
        return layer(x)

    with pytest.raises(ValueError, match=rf"^.*{path}.*\Z"):
        rename()
    layer.algorithm = "expanded"
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("dims", "channels", "settings", "path"),
    [
        (2, 20, {}, "tent_first"),
        (2, 3, {}, "tent_first"),
        (2, 20, {"groups": 20}, "tent_first"),
        (2, 20, {"dilation": 4}, "separable_tent"),
        (2, 20, {"dilation": 4, "corner": 0.1}, "tent_first"),
        (2, 20, {"growth": 5}, "expanded"),
        (2, 20, {"fade": 3}, "axis_first"),
        (2, 20, {"fade": 0.5}, "axis_first"),
        (2, 20, {"fade": 3, "groups": 20}, "expanded"),
        (1, 20, {}, "tent_first"),
        (1, 3, {}, "tent_first"),
        (1, 20, {"fade": 3}, "expanded"),
        (3, 20, {}, "tent_first"),
        (3, 20, {"growth": 5}, "axis_first"),
        (3, 20, {"growth": 5, "stride": 2}, "expanded"),
    ],
)
def test_what_auto_chooses(dims, channels, settings, path):
    layer = LAYERS[dims](channels, 20, padding=1, **settings)
    x = torch.randn(2, channels, *(9, 8, 7)[:dims])
    answer = layer(x)
    answers = {}
    for name in PATHS[:-1]:
        with contextlib.suppress(ValueError):
            layer.algorithm = name
            answers[name] = layer(x)

    same = [name for name, other in answers.items() if torch.equal(answer, other)]

    assert path in same
    assert len(same) < len(answers), "the paths' roundings do not tell them apart"


@pytest.mark.parametrize(
    "attributes",
    [{"stride": (2, 2)}, {"padding": (0, 2)}, {"padding": "same"}, {"padding_mode": "reflect"}],
    ids=str,
)
def test_what_is_set_between_calls_counts(attributes):
    layer, x = InterpodilConv2d(2, 3, padding=1), torch.randn(1, 2, 9, 9)
    twin = InterpodilConv2d(2, 3, **{"padding": 1, **attributes})
    twin.load_state_dict(layer.state_dict())
    before = {name: getattr(layer, name) for name in attributes}
    first = layer(x)
    for name, value in attributes.items():
        setattr(layer, name, value)
    torch.testing.assert_close(layer(x), twin(x), rtol=0, atol=0)
    torch.testing.assert_close(copy.deepcopy(layer)(x), twin(x), rtol=0, atol=0)
    for name, value in before.items():
        setattr(layer, name, value)
    torch.testing.assert_close(layer(x), first, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("attribute", "value"), [("dilation", (1, 1)), ("kernel_size", (5, 5)), ("groups", 2)]
)
def test_what_cannot_change_after_a_layer_is_built(attribute, value):
    layer = InterpodilConv2d(4, 4)
    with pytest.raises(AttributeError):
        layer.fade = 2.0
    setattr(layer, attribute, value)
    with pytest.raises(ValueError, match=f"{attribute}.* cannot change after a layer is built"):
        layer(torch.randn(1, 4, 9, 9))


@pytest.mark.parametrize("settings", [{}, {"dilation": 3, "tent": "gaussian"}, {"groups": 2}])
@pytest.mark.parametrize(
    ("channels", "stride"), [(2, 1), (8, 1), (32, 1), (2, 2), (8, (1, 2)), (32, 2)]
)
def test_images_small_inputs_and_few_outputs_are_no_special_case(channels, stride, settings):
    """Each is computed in a way of its own, at inference and in training."""
    layer = InterpodilConv2d(channels, 4, stride=stride, padding=1, **settings)
    expanded = copy.deepcopy(layer)
    expanded.algorithm = "expanded"
    for batch, trained in itertools.product((1, 2), (False, True)):
        grads = []
        values = torch.randn(batch, channels, 9, 8)
        for module in (layer, expanded):
            module.zero_grad()
            x = values.clone().requires_grad_(trained)
            output = module(x)
            output.square().sum().backward()
            grads.append([output, *(p.grad for p in module.parameters()), *([x.grad] * trained)])
        for actual, expected in zip(*grads, strict=True):
            assert_near(actual, expected, message=f"for a batch of {batch}, {trained=}")
