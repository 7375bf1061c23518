"""Every algorithm gives the numbers of the written-out reference, and so do their gradients."""

import pytest
import torch

from interpodil import (
    InterpodilConv1d,
    InterpodilConv2d,
    InterpodilConv3d,
    effective_kernel,
    interpodil_conv1d,
    interpodil_conv2d,
    interpodil_conv3d,
)

CONVOLUTIONS = {1: interpodil_conv1d, 2: interpodil_conv2d, 3: interpodil_conv3d}
LAYERS = {1: InterpodilConv1d, 2: InterpodilConv2d, 3: InterpodilConv3d}
PATHS = ["expanded", "tent_first", "separable_tent", "axis_first", "auto"]
# How many cases are drawn; the first of as many as the long test draws.
COUNTS = {1: 30, 2: 100, 3: 25}
MANY = {1: 80, 2: 300, 3: 60}
PADDING_MODES = ["zeros", "reflect", "replicate", "circular"]


@pytest.mark.parametrize("counts", [COUNTS, pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dims", COUNTS)
def test_random_settings(reference, cases, assert_near, path, dims, counts):
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
def test_random_effective_kernels(reference, cases, assert_near, dims):
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
def test_a_layer_is_the_function_of_its_weights(cases, path, dims):
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


@pytest.mark.parametrize("padding_mode", PADDING_MODES)
@pytest.mark.parametrize("stride", [1, 2, 3, 4, 5])
def test_paths_agree_up_to_the_border(random_tensor, assert_near, stride, padding_mode):
    """With the layer's default settings, where all of the paths apply."""
    for size in [(7, 7), (8, 7), (12, 9)]:
        x, weight, bias = random_tensor(2, 2, *size), random_tensor(3, 2, 3, 3), random_tensor(3)
        arguments = {"stride": stride, "padding": 1, "padding_mode": padding_mode}
        outputs = [
            interpodil_conv2d(x, weight, bias, algorithm=path, **arguments) for path in PATHS
        ]
        for path, output in zip(PATHS[1:], outputs[1:], strict=True):
            assert_near(output, outputs[0], message=f"in {path} for {size}")


def test_one_input_without_a_batch_axis(reference, random_tensor, assert_near):
    for dims, convolution in CONVOLUTIONS.items():
        x, weight = random_tensor(2, *(7, 8, 6)[:dims]), random_tensor(3, 2, *(3,) * dims)
        expected = reference.convolution(x, weight, padding=1)
        for path in PATHS:
            assert_near(convolution(x, weight, padding=1, algorithm=path), expected)
