"""Initialisation of layers that exist: by a batch of real input, and as an identity."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin

from interpodil.conv import InterpodilConv
from interpodil.modules import ConvNd, names_of_modules, random_state_kept
from interpodil.where import Where, check_where, chooses, is_forward_convolution


def dirac_(layer: InterpodilConv) -> InterpodilConv:
    r"""Make a layer pass its input on, as :func:`torch.nn.init.dirac_` does for plain ones.

    Every output channel passes on the input channel of the same number within its group (those of a
    higher number than the group has inputs are zero). The effective kernel is then the tent placed
    at the centre tap, which is a blur. The weight is divided by that tent's sum, so that

    - where no sample of the tent but its centre differs from zero (``edge = corner = 0`` at a
      dilation of 2) the layer is the exact identity,
    - with any other tent constants pass unchanged, and with a mirrored one linear ramps too, where
      the kernel does not reach into padded zeros. All else is smoothed.

    No weights do better: at another tap's pixel only that tap is seen, so an identity needs all
    weights but the centre one to be zero, and what is left is the centre's tent.

    A stride subsamples the result. The identity needs the padding of a plain convolution that keeps
    the size, ``(k - 1) / 2``. The bias is set to zero, which ``torch.nn.init.dirac_`` cannot do as
    it sees the weight alone. A tent that is learned is taken as it is now; it is not changed, and
    later changes of it change the sum.

    Args:
        layer: an interpodilated layer with an odd number of taps per axis; changed in place.

    Returns:
        the layer.

    Raises:
        ValueError: if it is no such layer or a lazy one, an axis has an even number of taps, which
            have no centre, the sum of the tent is zero, or the weight is computed from others
            (parametrized). Nothing is changed then.

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
    r"""Scale layers' weights until their outputs for a batch have a given standard deviation.

    The initialisation is made for white input. In images neighbouring pixels are alike, and the
    placed tents add them up, so outputs are louder. One pass over a batch of real input fixes the
    scales. Each layer's weights are multiplied, in the order of execution, by

    .. math::
        \text{std} \, / \, \sqrt{\operatorname{Var}(\text{output} - \text{bias})}

    over all examples, channels and positions, and the layers after it see the output for the new
    weights in the same pass. The scale part of Mishkin & Matas 2016, "All you need is a good init"
    (layer-sequential unit-variance); theirs draws orthogonal weights first and iterates.

    The pass runs without gradients and in the mode the model is in: in training mode batch
    normalisation uses the batch and dropout drops. Afterwards buffers, such as running statistics,
    and torch's default random generators are as before.

    A layer that is called more than once is measured at the first call, a weight that several
    layers share at the first of them, and what is not called is left alone.

    Args:
        model: a model, or a layer.
        batch: its input: a tensor, a sequence of positional arguments or a mapping of keyword ones.
        std: the standard deviation, in the units of the output. Default: 1.0
        where: which convolutions, interpodilated or not, as in :func:`interpodil.convert`.
            Default: all interpodilated ones

    Returns:
        the factors by the layers' names, in the order of execution.

    Raises:
        ValueError: if ``std`` is not finite and positive, the model has lazy modules, no layer is
            chosen, a layer's weight is computed from others (parametrized), or its output has no
            scale: it is constant, zero or not finite. All weights are then as before, as they are
            after any other error.

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
        centred = output if bias is None else output - bias
        factor = std / _standard_deviation(centred, name)
        scaled[weight] = weight.detach().clone()
        weight.mul_(factor)
        factors[name] = factor
        centred = centred * factor
        return centred if bias is None else centred + bias

    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(_buffers_kept(model))
        stack.enter_context(random_state_kept(chain(model.parameters(), model.buffers())))
        for layer in layers:
            # Before other hooks, which may turn the output into something else.
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
    """The bias, shaped to be added to the output, in its dtype."""
    if layer.bias is None:
        return None
    return layer.bias.to(output.dtype).view(-1, *[1] * (layer.weight.dim() - 2))


def _standard_deviation(output: Tensor, name: str) -> float:
    wide = output.to(torch.promote_types(output.dtype, torch.float32))
    deviation = wide.std(correction=0).item() if wide.numel() else 0.0
    # What rounding leaves of a constant is no scale.
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
            # Some modules change a buffer in place, others put a new tensor in its stead.
            module._buffers[name] = buffer.copy_(values)


def _call(model: nn.Module, batch: Tensor | Sequence[Any] | Mapping[str, Any]) -> None:
    if isinstance(batch, Mapping):
        model(**batch)
    elif isinstance(batch, Sequence):
        model(*batch)
    else:
        model(batch)
