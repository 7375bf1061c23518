"""Tents by number, by name, as a tensor, per channel, and batches of tents."""

import contextlib

import pytest
import torch
from torch.func import grad, vmap

import interpodil
from interpodil import (
    InterpodilConv1d,
    InterpodilConv2d,
    interpodil_conv2d,
)
from tests.interpodil.kinds import LAYERS, assert_near, draw


def tent_of(*shape, dims):
    tent = draw(*shape).tanh()
    flat = tent.flatten(-dims)
    flat[..., flat.shape[-1] // 2] = 1
    return flat.reshape(shape)


@pytest.mark.parametrize(
    "settings",
    [{}, {"algorithm": "expanded"}, {"fade": 2.0}, {"growth": 5}, {"stride": 2}],
    ids=str,
)
@pytest.mark.parametrize(
    "tents",
    [
        lambda: {"edge": draw(5), "corner": draw(5)},
        lambda: {"tent": tent_of(5, 3, 3, dims=2)},
        lambda: {"tent": tent_of(5, 3, 3, 3, dims=2)},
    ],
    ids=["coefficients", "tents", "tents per channel"],
)
def test_vmap_over_tents(tents, settings):
    x, weight, tents = draw(2, 3, 8, 9), draw(4, 3, 3, 3), tents()
    each = [{name: values[i] for name, values in tents.items()} for i in range(5)]

    def convolution(tent):
        return interpodil_conv2d(x, weight, padding=1, **tent, **settings)

    def loss(tent):
        return convolution(tent).square().sum()

    assert_near(vmap(convolution)(tents), torch.stack([convolution(tent) for tent in each]))
    slopes, looped = vmap(grad(loss))(tents), [grad(loss)(tent) for tent in each]
    for name, slope in slopes.items():
        assert_near(slope, torch.stack([one[name] for one in looped]))


def test_the_modules_tent_is_not_the_callers_tensor():
    tent = torch.tensor([0.25, 1.0, 0.25])
    layer = InterpodilConv1d(1, 1, tent=tent)
    tent.fill_(1)
    assert layer.tent.tolist() == [0.25, 1.0, 0.25]


def refuses_as_no_product():
    return pytest.raises(ValueError, match="needs a tent that is the product of one line per axis")


@pytest.mark.parametrize("dims", [2, 3])
def test_products_of_lines_are_separable(dims):
    for _ in range(20):
        lines = [tent_of(5, dims=1) for _ in range(dims)]
        tent = torch.ones((), dtype=torch.float64)
        for line in lines:
            tent = tent[..., None] * line
        LAYERS[dims](2, 3, dilation=3, tent=tent, algorithm="axis_first")
        tent.flatten()[0] *= 1 + 1e-13
        with refuses_as_no_product():
            LAYERS[dims](2, 3, dilation=3, tent=tent, algorithm="axis_first")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("fade", [None, 3])
def test_algorithms_agree_on_what_is_nearly_a_product(dtype, fade):
    x = draw(1, 8, 16, 16)
    off = 2 * torch.finfo(dtype).eps
    for edge, corner in ((0.5, 0.28), (0.5, 0.25 + off), (1e-3, 0.0), (0.0, 1e-9)):
        tent = torch.tensor(
            [[corner, edge, corner], [edge, 1, edge], [corner, edge, corner]], dtype=dtype
        )
        outputs = {}
        for path in ("auto", "expanded"):
            torch.manual_seed(0)
            layer = InterpodilConv2d(8, 8, fade=fade, tent=tent, algorithm=path, dtype=dtype)
            outputs[path] = layer.double()(x)
        assert_near(outputs["auto"], outputs["expanded"])


def test_function_and_module_agree_on_what_is_separable():
    x, weight = draw(1, 2, 9, 9), draw(3, 2, 3, 3)
    for edge, corner, exact in (
        (0.3, 0.3**2, True),
        (1 / 3, 1 / 9, True),
        (0.7, 0.49, True),
        (-0.4, 0.16, True),
        (0, 0, True),
        (0.3333333333, 0.1111111111, False),
        (1e-6, 0.0, False),
        (0.0, 1e-12, False),
    ):
        settings = {"edge": edge, "corner": corner, "algorithm": "axis_first"}
        with contextlib.nullcontext() if exact else refuses_as_no_product():
            interpodil_conv2d(x, weight, **settings)
        with contextlib.nullcontext() if exact else refuses_as_no_product():
            InterpodilConv2d(2, 3, **settings)


def test_gain_of_a_tent_per_channel_takes_its_channels_from_the_tent():
    tents = torch.stack([interpodil.tent((2, 2), edge, edge**2) for edge in (0.0, 0.5)])
    squares = [interpodil.expansion_gain(edge=edge, corner=edge**2) ** 2 for edge in (0.0, 0.5)]
    assert interpodil.expansion_gain(tent=tents) == pytest.approx((sum(squares) / 2) ** 0.5)
