"""Which algorithm may be named when, and what none of them may change."""

import itertools

import pytest
import torch
from torch import nn

from interpodil import InterpodilConv1d, InterpodilConv2d, InterpodilConv3d, interpodil_conv2d

PATHS = ["expanded", "tent_first", "separable_tent", "axis_first", "auto"]
PLAIN = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
LAYERS = {1: InterpodilConv1d, 2: InterpodilConv2d, 3: InterpodilConv3d}
PADDING_MODES = ["zeros", "reflect", "replicate", "circular"]
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


@pytest.mark.parametrize("arguments", [rule for rule, _ in UNEQUAL_TENTS + INSEPARABLE])
def test_auto_and_expanded_always_apply(random_tensor, assert_near, arguments):
    x, weight = random_tensor(1, 2, 9, 9), random_tensor(3, 2, 3, 3)
    arguments = {k: v.double() if isinstance(v, torch.Tensor) else v for k, v in arguments.items()}
    expanded = interpodil_conv2d(x, weight, algorithm="expanded", **arguments)
    assert_near(interpodil_conv2d(x, weight, **arguments), expanded)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("channels", [1, 4, 40])
def test_auto_answers_as_one_of_the_paths(channels, dims):
    layer = LAYERS[dims](channels, 4, padding=1)
    x = torch.randn(2, channels, *(9, 8, 5)[:dims])
    answer = layer(x)
    answers = {}
    for path in PATHS[:-1]:
        layer.algorithm = path
        answers[path] = layer(x)
    assert any(torch.equal(answer, other) for other in answers.values())


def test_growth_that_crops_nothing_and_a_written_out_fade_are_no_obstacle(random_tensor):
    x, weight = random_tensor(1, 2, 9, 9), random_tensor(3, 2, 3, 3)
    for path in PATHS:
        output = interpodil_conv2d(x, weight, algorithm=path)
        again = interpodil_conv2d(x, weight, algorithm=path, growth=(7, 9), fade=(1.0, 1))
        torch.testing.assert_close(again, output, rtol=0, atol=0)


def formats(tensor):
    """The tensor as it is and with its channels innermost."""
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(tensor.dim())
    return [tensor] if last is None else [tensor, tensor.contiguous(memory_format=last)]


@pytest.mark.parametrize("padding_mode", PADDING_MODES)
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("channels", [1, 3, 20])
def test_memory_format_is_that_of_a_plain_convolution(channels, path, dims, padding_mode):
    for kernel_size, stride in itertools.product((2, 3), (1, 2)):
        options = {"padding": 1, "padding_mode": padding_mode, "stride": stride}
        layer = LAYERS[dims](channels, 4, kernel_size, algorithm=path, **options)
        plain = PLAIN[dims](channels, 4, kernel_size, **options)
        values = torch.randn(2, channels, *(8, 9, 7)[:dims])
        results = []
        for x, weight in itertools.product(formats(values), formats(layer.weight.detach())):
            layer.weight.data, plain.weight.data = weight, weight.clone()
            output = layer(x)
            case = (kernel_size, stride, x.stride(), weight.stride())
            assert output.stride() == plain(x).stride(), case
            results.append(output)
        for output in results[1:]:
            torch.testing.assert_close(output, results[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"tent": "cosine"}, {"learn_tent": "channel"}])
@pytest.mark.parametrize("dims", [2, 3])
def test_a_layer_moves_to_channels_last(dims, settings):
    last = {2: torch.channels_last, 3: torch.channels_last_3d}[dims]
    layer = LAYERS[dims](3, 4, 3, padding=1, **settings)
    x = torch.randn(2, 3, *(8, 9, 7)[:dims])
    expected = layer(x)
    layer.to(memory_format=last)
    assert layer.weight.is_contiguous(memory_format=last)
    output = layer(x.to(memory_format=last))
    assert output.is_contiguous(memory_format=last)
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("path", PATHS)
def test_inputs_of_any_strides(random_tensor, assert_near, path):
    base = random_tensor(2, 4, 18, 20)
    layer = InterpodilConv2d(4, 3, padding=1, algorithm=path, dtype=torch.float64)
    sliced = [
        base[:, :, ::2, 1::2],
        base[..., 2:11, 3:14],
        base.transpose(2, 3),
        base[:1].expand(3, -1, -1, -1),
    ]
    for x in sliced:
        assert_near(layer(x), layer(x.contiguous()))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("padding_mode", ["zeros", "circular"])
@pytest.mark.parametrize(
    "trained", list(itertools.product([False, True], repeat=3)), ids=lambda t: str(t)
)
def test_only_what_is_trained_gets_a_gradient(
    random_tensor, assert_near, path, padding_mode, trained
):
    """Input, weight and bias, each frozen or not."""
    tensors = [random_tensor(2, 4, 7, 8), random_tensor(3, 4, 3, 3), random_tensor(3)]
    for tensor in tensors:
        tensor.requires_grad_()
    settings = {"padding": 1, "padding_mode": padding_mode}
    expected = interpodil_conv2d(*tensors, algorithm="expanded", **settings)
    grads = torch.autograd.grad(expected.square().sum(), tensors)
    leaves = [t.detach().requires_grad_(on) for t, on in zip(tensors, trained, strict=True)]
    output = interpodil_conv2d(*leaves, algorithm=path, **settings)
    assert_near(output, expected)
    assert output.requires_grad == any(trained)
    if any(trained):
        output.square().sum().backward()
    for leaf, grad, on in zip(leaves, grads, trained, strict=True):
        assert (leaf.grad is not None) == on
        if on:
            assert_near(leaf.grad, grad)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_without_gradients(path, context):
    layer = InterpodilConv2d(3, 4, padding=1, algorithm=path)
    x = torch.randn(2, 3, 8, 9)
    with context():
        output = layer(x)
    assert not output.requires_grad
    torch.testing.assert_close(output, layer(x), rtol=1e-5, atol=1e-5)
    # What was computed without gradients is not taken for what is trained.
    layer(x).sum().backward()
    assert layer.weight.grad.any()


@pytest.mark.parametrize("path", PATHS)
def test_a_step_of_training_changes_the_output(path):
    """Nothing computed from the weights outlives them."""
    layer = InterpodilConv2d(3, 4, padding=1, bias=False, algorithm=path)
    x = torch.randn(2, 3, 8, 9)
    before = layer(x).detach()
    with torch.no_grad():
        layer.weight.mul_(2)
    torch.testing.assert_close(layer(x), 2 * before)


@pytest.mark.parametrize("path", PATHS)
def test_arguments_are_left_alone(random_tensor, path):
    tensors = [random_tensor(2, 4, 7, 8), random_tensor(3, 4, 3, 3), random_tensor(3)]
    copies = [t.clone() for t in tensors]
    output = interpodil_conv2d(*(t.requires_grad_() for t in tensors), padding=1, algorithm=path)
    output.sum().backward()
    for tensor, copy in zip(tensors, copies, strict=True):
        assert torch.equal(tensor, copy)
