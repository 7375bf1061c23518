"""Every algorithm gives the numbers of the written-out reference, and so do their gradients."""

import pytest
import torch

from interpodil import (
    effective_kernel,
)
from tests.interpodil import cases, reference
from tests.interpodil.kinds import CONVOLUTIONS, LAYERS, PATHS, assert_near, draw

# How many cases are drawn; the first of as many as the long test draws.
COUNTS = {1: 30, 2: 100, 3: 25}
MANY = {1: 80, 2: 300, 3: 60}


@pytest.mark.parametrize("counts", [COUNTS, pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dims", COUNTS)
def test_random_settings(path, dims, counts):
    for case in cases.drawn(path, dims, counts[dims]):
        expected, expected_grads = case.run(reference.convolution, torch.float64)
        try:
            actual, grads = case.run(CONVOLUTIONS[dims], algorithm=path)
        except Exception as error:
            error.add_note(f"{path} for {case}")
            raise
        assert actual.dtype == case.dtype
        assert_near(actual, expected, message=f"in {path} for {case}")
        for name, grad in grads.items():
            assert_near(grad, expected_grads[name], message=f"in d {name} of {path} for {case}")


@pytest.mark.parametrize("dims", COUNTS)
def test_random_effective_kernels(dims):
    unused = ("stride", "padding", "padding_mode")
    for case in cases.drawn("expanded", dims, COUNTS[dims]):
        options = {
            k: v.double() if isinstance(v, torch.Tensor) else v
            for k, v in case.options.items()
            if k not in unused
        }
        actual = effective_kernel(case.weight, **options)
        expected = reference.effective_kernel(case.weight, **options)
        assert_near(actual, expected, message=f"for {case}")


@pytest.mark.parametrize("dims", COUNTS)
@pytest.mark.parametrize("path", PATHS)
def test_a_layer_is_the_function_of_its_weights(path, dims):
    for case in cases.drawn(path, dims, 15):
        options = {
            k: v.tolist() if isinstance(v, torch.Tensor) and not v.dim() else v
            for k, v in case.options.items()
        }
        kernel_size, groups = tuple(case.weight.shape[2:]), case.options["groups"]
        layer = LAYERS[dims](
            case.weight.shape[1] * groups,
            case.weight.shape[0],
            kernel_size,
            bias=case.bias is not None,
            algorithm=path,
            dtype=torch.float64,
            **options,
        )
        expected = CONVOLUTIONS[dims](
            case.input, layer.weight, layer.bias, algorithm=path, **options
        )
        torch.testing.assert_close(layer(case.input), expected, rtol=1e-13, atol=1e-13)
        shape = {k: v for k, v in options.items() if k not in ("stride", "padding", "padding_mode")}
        expected = effective_kernel(layer.weight, **shape)
        torch.testing.assert_close(layer.effective_kernel(), expected, rtol=1e-13, atol=1e-13)


def test_one_input_without_a_batch_axis():
    for dims, convolution in CONVOLUTIONS.items():
        x, weight = draw(2, *(7, 8, 6)[:dims]), draw(3, 2, *(3,) * dims)
        expected = reference.convolution(x, weight, padding=1)
        for path in PATHS:
            assert_near(convolution(x, weight, padding=1, algorithm=path), expected)
