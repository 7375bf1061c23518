"""Which algorithm may be named when."""

import contextlib
import copy
import itertools

import pytest
import torch

from interpodil import InterpodilConv1d, InterpodilConv2d, InterpodilConv3d, interpodil_conv2d

PATHS = ["expanded", "tent_first", "separable_tent", "axis_first", "auto"]
LAYERS = {1: InterpodilConv1d, 2: InterpodilConv2d, 3: InterpodilConv3d}
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
        ("separable_tent", {"fade": 2.0}),
        ("separable_tent", {"corner": 0.3}),
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


@pytest.mark.parametrize("arguments", [rule for rule, _ in UNEQUAL_TENTS + INSEPARABLE])
def test_auto_and_expanded_always_apply(random_tensor, assert_near, arguments):
    x, weight = random_tensor(1, 2, 9, 9), random_tensor(3, 2, 3, 3)
    arguments = {k: v.double() if isinstance(v, torch.Tensor) else v for k, v in arguments.items()}
    expanded = interpodil_conv2d(x, weight, algorithm="expanded", **arguments)
    assert_near(interpodil_conv2d(x, weight, **arguments), expanded)


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
        (1, 3, {}, "expanded"),
        (1, 20, {"fade": 3}, "expanded"),
        (3, 20, {}, "tent_first"),
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


def test_growth_that_crops_nothing_and_a_written_out_fade_are_no_obstacle(random_tensor):
    x, weight = random_tensor(1, 2, 9, 9), random_tensor(3, 2, 3, 3)
    for path in PATHS:
        output = interpodil_conv2d(x, weight, algorithm=path)
        again = interpodil_conv2d(x, weight, algorithm=path, growth=(7, 9), fade=(1.0, 1))
        torch.testing.assert_close(again, output, rtol=0, atol=0)


def test_stride_and_padding_may_be_set_anew():
    layer = InterpodilConv2d(2, 3, stride=2, padding=1)
    x = torch.randn(1, 2, 9, 9)
    twin = InterpodilConv2d(2, 3, padding=0)
    twin.load_state_dict(layer.state_dict())

    layer.stride, layer.padding = (1, 1), 0

    torch.testing.assert_close(layer(x), twin(x))


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


def test_a_stride_that_is_changed_in_place_counts():
    layer, x = InterpodilConv2d(2, 3, padding=1), torch.randn(1, 2, 9, 9)
    layer.stride = [1, 1]
    assert layer(x).shape[2:] == (9, 9)
    layer.stride[0] = 3
    assert layer(x).shape[2:] == (3, 9)


def test_the_plan_is_made_once(monkeypatch):
    layers = [InterpodilConv2d(2, 3, stride=2, padding=1), InterpodilConv2d(2, 3, dilation=1)]
    layers[0].stride = (1, 1)
    x = torch.randn(1, 2, 9, 9)
    expected = [layer(x) for layer in layers]
    monkeypatch.setattr("interpodil.base.make_plan", lambda *_, **__: pytest.fail("made again"))
    for layer, output in zip(layers, expected, strict=True):
        torch.testing.assert_close(layer(x), output, rtol=0, atol=0)


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
@pytest.mark.parametrize("stride", [1, 2, (1, 2)])
@pytest.mark.parametrize("channels", [2, 8, 32])
def test_images_small_inputs_and_few_outputs_are_no_special_case(
    assert_near, channels, stride, settings
):
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
