"""Gradients, checked numerically in double precision."""

import functools

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from interpodil import (
    InterpodilConv2d,
    InterpodilConv3d,
    effective_kernel,
    interpodil_conv1d,
    interpodil_conv2d,
    interpodil_conv3d,
)
from tests.interpodil.kinds import PADDING_MODES, draw

PATHS = ["expanded", "tent_first", "separable_tent", "axis_first"]
ANY_TENT = ["expanded", "tent_first"]


def leaves(*shapes):
    return tuple(draw(*shape).requires_grad_() for shape in shapes)


@pytest.mark.parametrize(
    ("path", "padding_mode"),
    [*((path, "zeros") for path in PATHS), *zip(PATHS[1:], PADDING_MODES[1:], strict=True)],
)
def test_first_and_second_order(path, padding_mode):
    inputs = leaves((1, 2, 4, 5), (2, 1, 2, 3), (2,))

    def convolution(x, weight, bias):
        return interpodil_conv2d(
            x, weight, bias, (2, 1), 1, groups=2, padding_mode=padding_mode, algorithm=path
        )

    assert gradcheck(convolution, inputs, check_forward_ad=True)
    assert gradgradcheck(convolution, inputs, fast_mode=True)


@pytest.mark.parametrize("settings", [{}, {"dilation": 3, "tent": "gaussian"}, {"groups": 2}])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("channels_last", [False, True])
def test_stride_one(path, settings, channels_last):
    """Forward, backward, backward of the backward, and directions of all of them."""
    groups = settings.get("groups", 1)
    # With half as many outputs as inputs the backward pass is the layer's own.
    x, weight, bias = leaves((1, 4, 4, 4), (2, 4 // groups, 2, 2), (2,))
    if channels_last:
        x = x.detach().contiguous(memory_format=torch.channels_last).requires_grad_()

    def convolution(x, weight, bias):
        return interpodil_conv2d(x, weight, bias, padding=1, algorithm=path, **settings)

    checks = {"fast_mode": True, "check_forward_ad": True}
    assert gradcheck(convolution, (x, weight, bias), **checks, check_batched_grad=True)
    assert gradgradcheck(convolution, (x, weight, bias), fast_mode=True, check_fwd_over_rev=True)


@pytest.mark.parametrize("trained", ["input, weight, bias", "weight, bias", "bias"])
@pytest.mark.parametrize("settings", [{}, {"groups": 2}, {"stride": 2, "dilation": 3}])
def test_cpus_without_avx512(monkeypatch, trained, settings):
    """Such a CPU sums the bias's gradient apart."""
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX2")
    # As many outputs as inputs, so that the tent comes first.
    x, weight, bias = draw(2, 4, 4, 4), draw(4, 4 // settings.get("groups", 1), 2, 2), draw(4)
    x = x.contiguous(memory_format=torch.channels_last)
    for name, tensor in {"input": x, "weight": weight, "bias": bias}.items():
        tensor.requires_grad_(name in trained)
    convolution = functools.partial(interpodil_conv2d, padding=1, **settings)

    assert "OwnBackward" in convolution(x, weight, bias).grad_fn.name()
    checks = {"fast_mode": True, "check_forward_ad": True}
    assert gradcheck(convolution, (x, weight, bias), **checks, check_batched_grad=True)
    assert gradgradcheck(convolution, (x, weight, bias), fast_mode=True, check_fwd_over_rev=True)
    biases = torch.stack([bias, 2 * bias])
    each = torch.func.vmap(lambda b: convolution(x, weight, b))(biases)
    torch.testing.assert_close(each[1], convolution(x, weight, biases[1]))


@pytest.mark.parametrize("settings", [{}, {"dilation": 3, "tent": "gaussian", "gain": "forward"}])
def test_volumes_at_stride_one(settings):
    """A layer filters them in a way of its own."""
    layer = InterpodilConv3d(2, 1, 2, padding=1, dtype=torch.float64, **settings)
    (x,) = leaves((1, 2, 2, 3, 2))
    checks = {"fast_mode": True, "check_forward_ad": True}
    assert gradcheck(layer, x, **checks, check_batched_grad=True)
    assert gradgradcheck(layer, x, fast_mode=True, check_fwd_over_rev=True)


@pytest.mark.parametrize(
    "arguments",
    [
        {"fade": 1.7, "padding": "same"},
        {"fade": (0, 2.5), "growth": (3, 7), "edge": 0.3, "corner": 0.4},
        {"dilation": (1, 3), "fade": 0},
        {"dilation": 1, "fade": 0},
        {"tent": "cosine", "dilation": 3, "padding": 1, "stride": 2},
    ],
)
def test_settings(arguments):
    inputs = leaves((1, 2, 5, 6), (2, 2, 2, 3), (2,))
    assert gradcheck(functools.partial(interpodil_conv2d, **arguments), inputs)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("convolution", [interpodil_conv1d, interpodil_conv3d])
def test_one_and_three_dimensions(convolution, path):
    dims = 1 if convolution is interpodil_conv1d else 3
    inputs = leaves((1, 1, *(4,) * dims), (2, 1, *(2,) * dims), (2,))
    layer = functools.partial(convolution, padding=1, algorithm=path)
    assert gradcheck(layer, inputs, fast_mode=True)
    assert gradgradcheck(layer, inputs, fast_mode=True)


@pytest.mark.parametrize("padding_mode", PADDING_MODES)
@pytest.mark.parametrize("path", ANY_TENT)
def test_edge_and_corner(path, padding_mode):
    inputs = leaves((1, 1, 4, 5), (1, 1, 2, 2), (), ())

    def convolution(x, weight, edge, corner):
        settings = {"padding": 1, "padding_mode": padding_mode, "algorithm": path}
        return interpodil_conv2d(x, weight, edge=edge, corner=corner, **settings)

    assert gradcheck(convolution, inputs)
    assert gradgradcheck(convolution, inputs, fast_mode=True)


@pytest.mark.parametrize("fade", [None, 0.5, 2.5])
@pytest.mark.parametrize("channels", [(), (2,)])
def test_tent(fade, channels):
    inputs = leaves((1, 2, 4, 5), (2, 2, 2, 2), (*channels, 3, 5))
    for path in ANY_TENT if fade is None else ["expanded", "auto"]:

        def convolution(x, weight, tent, path=path):
            settings = {"dilation": (2, 3), "fade": fade, "algorithm": path}
            return interpodil_conv2d(x, weight, tent=tent, padding=1, **settings)

        assert gradcheck(convolution, inputs, fast_mode=True)
        assert gradgradcheck(convolution, inputs, fast_mode=True)


def test_effective_kernel():
    inputs = leaves((1, 2, 2, 3), (5, 5))
    assert gradcheck(lambda weight, tent: effective_kernel(weight, 3, fade=1.2, tent=tent), inputs)


@pytest.mark.parametrize("learn_tent", ["layer", "channel"])
@pytest.mark.parametrize("path", ANY_TENT)
def test_learned_tent(path, learn_tent):
    layer = InterpodilConv2d(
        2, 2, 2, padding=1, groups=2, learn_tent=learn_tent, algorithm=path, dtype=torch.float64
    )
    names, values = zip(*layer.named_parameters(), strict=True)
    assert set(names) == {"weight", "bias", "raw_tent"}
    x = draw(1, 2, 4, 5).requires_grad_()

    def convolution(x, *values):
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

    assert gradcheck(convolution, (x, *values))
    assert gradgradcheck(convolution, (x, *values), fast_mode=True)
