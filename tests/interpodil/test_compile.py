"""The layer and the functions under `torch.compile`, `torch.export` and in ONNX."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

from interpodil import (
    InterpodilConv2d,
    interpodil_conv2d,
)
from tests.interpodil.kinds import LAYERS

SETTINGS = {
    "default": {},
    "expanded": {"fade": 1.7, "growth": 7, "algorithm": "expanded"},
    "tent_first": {"stride": 2, "padding_mode": "reflect", "algorithm": "tent_first"},
    "separable_tent": {"tent": "cosine", "kernel_size": 2, "algorithm": "separable_tent"},
    "axis_first": {"tent": "gaussian", "fade": 2.5, "algorithm": "axis_first"},
    "learned": {"learn_tent": "channel"},
}


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.fixture(params=SETTINGS)
def layer(request):
    return InterpodilConv2d(2, 3, padding=1, **SETTINGS[request.param])


def assert_trains_alike(compiled, layer, x):
    """Outputs and the gradients of input and parameters."""
    results = []
    for function in (layer, compiled):
        layer.zero_grad()
        leaf = x.clone().requires_grad_()
        output = function(leaf)
        output.square().sum().backward()
        results.append([output, leaf.grad, *(p.grad.clone() for p in layer.parameters())])
    for actual, expected in zip(results[1], results[0], strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("error:.*lru_cache.*")
def test_module(layer):
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    for batch, size in ((2, 9), (3, 12)):
        assert_trains_alike(compiled, layer, torch.randn(batch, 2, size, size))


def test_module_whose_stride_was_set_anew():
    layer, x = InterpodilConv2d(2, 3, padding=1), torch.randn(2, 2, 9, 9)
    layer.stride = (2, 2)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    exported = [torch.export.export(layer, (x,), strict=strict) for strict in (False, True)]
    outputs = [compiled(x), *(program.module()(x) for program in exported)]
    for output in outputs:
        torch.testing.assert_close(output, layer(x))
    layer.stride = (1, 1)
    torch.testing.assert_close(compiled(x), layer(x))


def test_module_with_another_tent():
    layer = InterpodilConv2d(2, 3, padding=1, tent="gaussian", fade=2.5, algorithm="axis_first")
    tent, x = torch.rand(9), torch.randn(2, 2, 9, 8)

    @torch.compile(fullgraph=True, backend="aot_eager")
    def call(tent, x):
        return functional_call(layer, {"fixed_tent": tent}, x)

    for samples in (tent, layer.fixed_tent):
        expected = functional_call(layer, {"fixed_tent": samples}, x)
        torch.testing.assert_close(call(samples, x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("error:.*lru_cache.*")
def test_function():
    def convolution(x, weight, edge):
        return interpodil_conv2d(x, weight, padding=1, stride=2, edge=edge, corner=edge**2)

    inputs = [
        torch.randn(2, 3, 9, 9),
        torch.randn(4, 3, 3, 3, requires_grad=True),
        torch.tensor(0.3, requires_grad=True),
    ]
    compiled = torch.compile(convolution, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(*inputs), convolution(*inputs))
    for function in (compiled, convolution):
        grads = torch.autograd.grad(function(*inputs).square().sum(), inputs[1:])
        if function is compiled:
            expected = grads
    for grad, other in zip(grads, expected, strict=True):
        torch.testing.assert_close(grad, other, rtol=1e-4, atol=1e-4)


def test_function_with_numbers_and_sizes_that_change():
    def convolve(x, weight, edge):
        return interpodil_conv2d(x, weight, padding=1, edge=edge, corner=edge * edge)

    weight = torch.randn(2, 2, 3, 3)
    compiled = torch.compile(convolve, fullgraph=True, backend="aot_eager", dynamic=True)
    for edge, size in ((0.5, 9), (0.3, 12)):
        x = torch.randn(1, 2, size, size)
        expected = convolve(x, weight, edge)
        torch.testing.assert_close(compiled(x, weight, edge), expected, rtol=1e-4, atol=1e-5)


def test_module_under_autocast():
    layer = InterpodilConv2d(3, 4, padding=1)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    x = torch.randn(2, 3, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        output, expected = compiled(x), layer(x)
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output, expected, rtol=0.05, atol=0.05)


# Compiles C++ for half a minute; the graphs that it compiles are those that `aot_eager` runs.
@pytest.mark.slow
@pytest.mark.parametrize("dims", LAYERS)
def test_inductor(dims):
    layer = LAYERS[dims](2, 2, padding=1)
    # What is in the cache may have been written for a CPU with other instructions.
    compiled = torch.compile(layer, fullgraph=True, options={"fx_graph_cache": False})
    assert_trains_alike(compiled, layer, torch.randn(1, 2, *(6, 7, 5)[:dims]))


@pytest.mark.parametrize(
    ("dims", "settings"), [(1, {}), (2, {"growth": 5, "learn_tent": True}), (3, {})], ids=str
)
def test_export_in_each_number_of_dimensions(dims, settings):
    """Alone, where the layer's buffers are the program's, and in a model."""
    layer = LAYERS[dims](2, 3, padding=1, **settings)
    x = torch.randn(2, 2, *(9, 8, 7)[:dims])
    for model, strict in ((layer, True), (nn.Sequential(layer), False)):
        exported = torch.export.export(model, (x,), strict=strict).module()
        torch.testing.assert_close(exported(x), model(x), rtol=1e-4, atol=1e-5)


def test_export(layer):
    x = torch.randn(2, 2, 9, 8)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(layer, (x,), dynamic_shapes=({0: batch},))
    exported = program.module()
    for size in (1, 2, 5):
        x = torch.randn(size, 2, 9, 8)
        torch.testing.assert_close(exported(x), layer(x), rtol=1e-4, atol=1e-5)


def test_export_with_dynamic_sizes():
    layer = InterpodilConv2d(2, 3, padding=1)
    auto = torch.export.Dim.AUTO
    shapes = ({0: auto, 2: auto, 3: auto},)
    program = torch.export.export(layer, (torch.randn(2, 2, 9, 8),), dynamic_shapes=shapes)
    for size in ((1, 2, 9, 8), (3, 2, 12, 31)):
        x = torch.randn(size)
        torch.testing.assert_close(program.module()(x), layer(x), rtol=1e-4, atol=1e-5)


def run_onnx(model, *inputs, **options):
    """What onnxruntime makes of a model's export."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    program = torch.onnx.export(
        model.eval(), (inputs[0],), dynamo=True, verbose=False, input_names=["x"], **options
    )
    session = onnxruntime.InferenceSession(
        program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return [torch.from_numpy(session.run(None, {"x": x.numpy()})[0]) for x in inputs]


@pytest.mark.parametrize(
    ("dims", "settings"),
    [
        (1, {"learn_tent": "channel"}),
        (2, SETTINGS["expanded"]),
        (2, SETTINGS["axis_first"]),
        (3, {}),
    ],
    ids=str,
)
def test_onnx(dims, settings):
    layer = LAYERS[dims](2, 3, padding=1, **settings)
    x = torch.randn(2, 2, *(9, 8, 7)[:dims])
    (output,) = run_onnx(layer, x)
    torch.testing.assert_close(output, layer(x).detach(), rtol=1e-4, atol=1e-4)


def test_onnx_of_a_model_with_a_dynamic_batch():
    model = nn.Sequential(
        InterpodilConv2d(3, 4, stride=2, padding=1), nn.ReLU(), InterpodilConv2d(4, 2, fade=0)
    )
    inputs = [torch.randn(batch, 3, 16, 16) for batch in (2, 5)]
    outputs = run_onnx(model, *inputs, dynamic_shapes=({0: torch.export.Dim("batch")},))
    for x, output in zip(inputs, outputs, strict=True):
        torch.testing.assert_close(output, model(x).detach(), rtol=1e-4, atol=1e-4)


def test_traces_as_a_leaf():
    """Like other modules of its own kind, the layer is one node to `torch.fx` where it is named."""

    class Tracer(torch.fx.Tracer):
        def is_leaf_module(self, module, name):
            return isinstance(module, InterpodilConv2d) or super().is_leaf_module(module, name)

    model = torch.nn.Sequential(InterpodilConv2d(2, 3, padding=1), torch.nn.ReLU())
    traced = torch.fx.GraphModule(model, Tracer().trace(model))
    x = torch.randn(1, 2, 9, 9)
    torch.testing.assert_close(traced(x), model(x))
