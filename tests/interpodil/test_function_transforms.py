"""The layer under `torch.func`: batches of inputs and models, both modes of differentiation."""

import pytest
import torch
from torch.func import (
    functional_call,
    grad,
    hessian,
    jacrev,
    jvp,
    stack_module_state,
    vjp,
    vmap,
)

from interpodil import InterpodilConv2d
from tests.interpodil.kinds import LAYERS, PATHS, assert_near, draw

SETTINGS = [
    *({"algorithm": path} for path in PATHS),
    {"stride": 2, "padding_mode": "reflect"},
    {"fade": 1.7, "growth": 9, "groups": 2},
    {"out_channels": 1},
    {"learn_tent": "layer"},
    {"learn_tent": "channel", "algorithm": "tent_first"},
]


@pytest.fixture(params=SETTINGS, ids=str)
def layer(request):
    settings = {"out_channels": 4, "padding": 1, **request.param}
    return InterpodilConv2d(2, dtype=torch.float64, **settings)


def parameters_of(layer):
    return {name: p.detach() for name, p in layer.named_parameters()}


def test_gradients_per_example(layer):
    x, parameters = draw(3, 2, 7, 8), parameters_of(layer)

    def loss(parameters, one):
        return functional_call(layer, parameters, (one,)).square().sum()

    grads = vmap(grad(loss), in_dims=(None, 0))(parameters, x)
    for i, one in enumerate(x):
        for name, expected in grad(loss)(parameters, one).items():
            assert_near(grads[name][i], expected, message=name)


@pytest.mark.parametrize("in_dim", [0, 1])
def test_batches_of_batches(layer, in_dim):
    x = draw(2, 3, 2, 7, 8)
    batched = vmap(layer, in_dims=in_dim, out_dims=in_dim)(x)
    assert_near(batched, torch.stack([layer(part) for part in x.unbind(in_dim)], in_dim))


def test_an_ensemble_of_layers(layer):
    others = [parameters_of(layer)]
    others += [{name: p + 0.1 * i for name, p in others[0].items()} for i in (1, 2)]
    stacked = {name: torch.stack([other[name] for other in others]) for name in others[0]}
    x = draw(2, 2, 7, 8)
    outputs = vmap(lambda p: functional_call(layer, p, (x,)))(stacked)
    assert_near(outputs, torch.stack([functional_call(layer, p, (x,)) for p in others]))


def test_an_ensemble_of_modules():
    layers = [InterpodilConv2d(2, 3, padding=1, dtype=torch.float64) for _ in range(3)]
    parameters, buffers = stack_module_state(layers)
    x = draw(2, 2, 7, 8)
    outputs = vmap(lambda p, b: functional_call(layers[0], (p, b), (x,)))(parameters, buffers)
    assert_near(outputs, torch.stack([layer(x) for layer in layers]))


def test_forward_mode(layer):
    """A directional derivative both ways round."""
    x, tangent = draw(2, 2, 7, 8), draw(2, 2, 7, 8)
    parameters = parameters_of(layer)
    tangents = {name: draw(*p.shape) for name, p in parameters.items()}

    def convolution(parameters, x):
        return functional_call(layer, parameters, (x,))

    output, derivative = jvp(convolution, (parameters, x), (tangents, tangent))
    assert_near(output, layer(x))
    cotangent = draw(*output.shape)
    grads, input_grad = vjp(convolution, parameters, x)[1](cotangent)
    backward = (input_grad * tangent).sum()
    backward = backward + sum((grads[name] * tangents[name]).sum() for name in grads)
    assert_near((derivative * cotangent).sum(), backward)


@pytest.mark.parametrize("path", PATHS)
def test_second_derivatives(path):
    x, layer = (
        draw(1, 1, 4, 4),
        InterpodilConv2d(1, 1, 2, padding=1, algorithm=path, dtype=torch.float64),
    )

    def loss(weight):
        return functional_call(layer, {"weight": weight}, (x,)).pow(3).sum()

    expected = torch.autograd.functional.hessian(loss, layer.weight.detach())
    assert_near(hessian(loss)(layer.weight.detach()), expected)
    assert_near(jacrev(jacrev(loss))(layer.weight.detach()), expected)


@pytest.mark.parametrize("dims", [1, 3])
@pytest.mark.parametrize("path", PATHS)
def test_one_and_three_dimensions(path, dims):
    layer = LAYERS[dims](2, 3, padding=1, algorithm=path, dtype=torch.float64)
    x = draw(3, 2, *(6, 5, 4)[:dims])
    assert_near(vmap(layer)(x), layer(x))
    tangent = draw(*x.shape)
    derivative = jvp(layer, (x,), (tangent,))[1]
    assert_near(derivative, layer(x + tangent) - layer(x))
