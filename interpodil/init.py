"""Initialization of existing layers: as an identity, or from a batch of real input."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin

from interpodil.base import InterpodilConv
from interpodil.modules import ConvNd, names_of_modules, random_state_kept
from interpodil.where import Where, check_where, chooses, is_forward_convolution


def dirac_(layer: InterpodilConv) -> InterpodilConv:
    r"""Make a layer pass on its input, as :func:`torch.nn.init.dirac_` does for plain ones.

    Every output channel passes on the input channel with its index in the group, or is zero if
    there is none. The effective kernel is then the tent at the center tap, a blur. The weight is
    divided by the tent's sum, so that

    - a tent that is zero but for its center (``edge = corner = 0`` at a dilation of 2) gives the
      exact identity,
    - any other tent keeps constants, and a symmetric one linear ramps, away from zero padding.
      Everything else is smoothed.

    No weights do better: at another tap's pixel only that tap contributes, so an identity needs all
    weights but the center one to be zero, which leaves the center's tent.

    A stride subsamples the result. The identity needs the padding of a plain convolution that keeps
    the size, ``(k - 1) / 2``. The bias is set to zero. A learned tent is not changed; if it changes
    later, so does its sum.

    Args:
        layer: an interpodilated layer with an odd number of taps per axis, changed in place.

    Returns:
        the layer.

    Raises:
        ValueError: if it is another module or lazy, an axis has an even number of taps, the tent's
            sum is zero, or the weight is parametrized. Nothing is changed then.

    Example::

        >>> layer = dirac_(InterpodilConv2d(3, 3, padding=1))
        >>> layer(torch.ones(1, 3, 9, 9))[0, 0, 4, 4].item()
        1.0
        >>> layer.weight[0, 0, 1, 1].item()
        0.25
    """
    if not isinstance(layer, InterpodilConv) or isinstance(layer, LazyModuleMixin):
        raise ValueError(
            f"dirac_ needs an interpodilated layer with weights, got {type(layer).__name__}"
        )
    if any(k % 2 == 0 for k in layer.kernel_size):
        raise ValueError(f"dirac_ needs odd kernel sizes, got {tuple(layer.kernel_size)}")
    weight = layer.weight
    if not isinstance(weight, nn.Parameter):
        raise ValueError("dirac_ needs a weight that is a parameter itself, got a computed one")
    with torch.no_grad():
        before = weight.clone()
        nn.init.dirac_(weight, layer.groups)
        sums = layer.effective_kernel().flatten(2).sum(2)
        passed = weight.flatten(2).any(2)
        if (sums[passed].abs() <= torch.finfo(weight.dtype).eps).any():
            weight.copy_(before)
            raise ValueError("dirac_ needs a tent with a sum other than 0, got one that sums to 0")
        sums[~passed] = 1
        weight.div_(sums[(..., *[None] * len(layer.kernel_size))])
        if layer.bias is not None:
            layer.bias.zero_()
    return layer


def lsuv_(
    model: nn.Module,
    batch: Tensor | Sequence[Any] | Mapping[str, Any],
    *,
    std: float = 1.0,
    where: Where | None = None,
) -> dict[str, float]:
    r"""Scale layers' weights so that their outputs for a batch have a given standard deviation.

    The default initialization assumes white input. In images neighboring pixels are alike and the
    tents add them up, so outputs are louder. One pass over a batch of real input measures how much:
    each layer's weights are multiplied, in the order of execution, by

    .. math::
        \text{std} \, / \, \sqrt{\operatorname{Var}(\text{output} - \text{bias})}

    over all examples, channels and positions. The following layers see the scaled output in the
    same pass. This is the scaling part of Mishkin & Matas 2016, "All you need is a good init"
    (layer-sequential unit-variance), which draws orthogonal weights first and iterates.

    The pass runs without gradients and in the model's mode: in training mode batch normalization
    uses the batch and dropout drops. Buffers, such as running statistics, and torch's default
    random generators are restored.

    A layer that is called several times is measured at the first call, a weight that several layers
    share at the first of them. Layers that are not called are not changed.

    Args:
        model: a model, or a layer.
        batch: its input: a tensor, a sequence of positional arguments or a mapping of keyword ones.
        std: the standard deviation of the outputs. Default: 1.0
        where: the convolutions to scale, plain ones too, as in :func:`interpodil.convert`.
            Default: all interpodilated ones

    Returns:
        the factors by the layers' names, in the order of execution.

    Raises:
        ValueError: if ``std`` is not finite and positive, the model has lazy modules, no layer is
            chosen, a layer's weight is parametrized, or its output is constant or not finite.
            After this or any other error all weights are as before.

    Example::

        >>> layer = InterpodilConv2d(3, 16, padding=1)
        >>> images = torch.rand(8, 3, 32, 32).cumsum(-1)
        >>> factors = lsuv_(layer, images)
        >>> output = layer(images) - layer.bias.view(-1, 1, 1)
        >>> round(output.std().item(), 3)
        1.0
    """
    if not 0 < std < math.inf:
        raise ValueError(f"std must be finite and > 0, got {std!r}")
    layers = _chosen(model, where)
    scaled: dict[nn.Parameter, Tensor] = {}
    factors: dict[str, float] = {}

    def scale(layer: ConvNd, inputs: object, output: Tensor) -> Tensor:
        weight = layer.weight
        assert isinstance(weight, nn.Parameter)
        if weight in scaled:
            return output
        name = layers[layer]
        bias = _channelwise(layer, output)
        centered = output if bias is None else output - bias
        factor = std / _standard_deviation(centered, name)
        scaled[weight] = weight.detach().clone()
        weight.mul_(factor)
        factors[name] = factor
        centered = centered * factor
        return centered if bias is None else centered + bias

    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(_buffers_kept(model))
        stack.enter_context(random_state_kept(chain(model.parameters(), model.buffers())))
        for layer in layers:
            # Before other hooks, which may replace the output.
            stack.callback(layer.register_forward_hook(scale, prepend=True).remove)
        try:
            _call(model, batch)
        except BaseException:
            for weight, before in scaled.items():
                weight.copy_(before)
            raise
    return factors


def _chosen(model: nn.Module, where: Where | None) -> dict[ConvNd, str]:
    wanted = _is_interpodilated if where is None else check_where(where)
    layers: dict[ConvNd, str] = {}
    for module, names in names_of_modules(model).items():
        if isinstance(module, LazyModuleMixin):
            raise ValueError(
                f"lsuv_ needs a model that has run once, got {names[0] or 'a layer'}, which is lazy"
            )
        if not is_forward_convolution(module) or not chooses(wanted, names, module):
            continue
        if not isinstance(module.weight, nn.Parameter):
            raise ValueError(
                f"lsuv_ needs weights that are parameters themselves, got {names[0] or 'a layer'} "
                f"with computed ones"
            )
        layers[module] = names[0]
    if not layers:
        raise ValueError(
            f"lsuv_ needs a layer to scale, got none in {type(model).__name__} for where={where!r}"
        )
    return layers


def _is_interpodilated(name: str, conv: ConvNd) -> bool:
    return isinstance(conv, InterpodilConv)


def _channelwise(layer: ConvNd, output: Tensor) -> Tensor | None:
    """Return the bias in the shape and dtype to add to the output."""
    if layer.bias is None:
        return None
    return layer.bias.to(output.dtype).view(-1, *[1] * (layer.weight.dim() - 2))


def _standard_deviation(output: Tensor, name: str) -> float:
    wide = output.to(torch.promote_types(output.dtype, torch.float32))
    deviation = wide.std(correction=0).item() if wide.numel() else 0.0
    # Rounding alone makes a constant vary by this much.
    noise = 16 * torch.finfo(output.dtype).eps * wide.abs().max().item() if wide.numel() else 0.0
    if not noise < deviation < math.inf:
        raise ValueError(
            f"the output of {name or 'the layer'} must vary and be finite to have a scale, "
            f"got a standard deviation of {deviation!r}"
        )
    return deviation


@contextmanager
def _buffers_kept(model: nn.Module) -> Iterator[None]:
    held = [
        (module, name, buffer, buffer.clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    try:
        yield
    finally:
        for module, name, buffer, values in held:
            # Some modules change a buffer in place, others replace it.
            module._buffers[name] = buffer.copy_(values)


def _call(model: nn.Module, batch: Tensor | Sequence[Any] | Mapping[str, Any]) -> None:
    if isinstance(batch, Mapping):
        model(**batch)
    elif isinstance(batch, Sequence):
        model(*batch)
    else:
        model(batch)
