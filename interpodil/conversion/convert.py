"""Swapping the plain convolutions of a model for interpodilated ones."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.optim import Optimizer

from interpodil.conversion.convertible import (
    LAYERS,
    InterpodilConv,
    is_forward_convolution,
    obstacle,
)
from interpodil.conversion.replacement import names_of_modules, replace_modules
from interpodil.conversion.report import NOT_CHOSEN, Change, Conversion, Skip, complaints
from interpodil.conversion.tent_groups import add_groups, check_optimizer, groups_for_tents
from interpodil.conversion.where import Predicate, Where, check_where, chooses, spatial
from interpodil.expansion import expansion_gain
from interpodil.random_state import random_state_kept


def convert(
    model: nn.Module,
    where: Where = spatial,
    *,
    optimizer: Optimizer | None = None,
    keep_variance: bool = False,
    dilation: int | Sequence[int] = 2,
    fade: float | Sequence[float] | None = None,
    growth: int | Sequence[int | None] | None = None,
    edge: float = 0.5,
    corner: float = 0.25,
    tent: str | Tensor | None = None,
    learn_tent: bool | Literal["layer", "channel"] = False,
    init_scale: float = 1.0,
    algorithm: str = "auto",
) -> Conversion:
    r"""Swap plain convolutions of a model for interpodilated ones, in place.

    The new layers hold the very parameters of the old ones, so an optimiser goes on with them, and
    have their stride, padding, padding mode, groups, dtype, device and training flag. Output sizes
    and the keys of the state dict stay as they are; with ``learn_tent`` each layer has a
    ``raw_tent`` more, and checkpoints without it still load. No random numbers are used up.

    Swapped are layers whose type is exactly :class:`torch.nn.Conv1d`, ``Conv2d`` or ``Conv3d``, of
    a dilation of 1. Subclasses, parametrized layers and layers with hooks (which old-style weight
    normalisation uses) would lose what they add, so they stay and are reported. A layer that stands
    in the model under several names is swapped once, under all of them. A layer that the model also
    keeps elsewhere than among its submodules, in a list for instance, is not found there.

    Either all is changed or, when an error is raised, nothing.

    Note:
        A pretrained network sees other images than it learned on. Each layer's output is also
        louder, by :func:`interpodil.expansion_gain` for white input and by more for natural
        images, and over many layers without normalisation that multiplies. ``keep_variance``
        takes that gain out, and changes the weights to do so: in place, under the optimiser, whose
        momentum buffers are left alone.

    Note:
        With ``learn_tent``, make learning rate schedulers after the conversion. Those made before
        may hold a list with an entry for each of the old groups: some go on with the new groups
        too (``StepLR``), others raise an error at their next step (``LambdaLR``, ``CyclicLR``,
        ``CosineAnnealingWarmRestarts``).

    Args:
        model: the model, or a single convolution; :attr:`Conversion.model` is what it becomes.
        where: which convolutions. A glob pattern on qualified names (as of :mod:`fnmatch`: ``*``
            matches dots too), several patterns, or a predicate of name and convolution such as
            :func:`interpodil.stem` or :func:`interpodil.three_by_three`. Default:
            :func:`interpodil.spatial`, all with more than one tap on some axis.
        optimizer: an optimiser that holds the model's parameters, with or without state. Tents
            that are learned go into new groups, one for each group that holds weights of swapped
            layers, with its hyperparameters and no weight decay. Where it does not hold a layer's
            weight it does not get the tent either, and a warning says so.
        keep_variance: whether to multiply the weights by ``init_scale / expansion_gain``, as in
            a new layer, so that the output for white input is as loud as before if
            ``init_scale`` is 1. Default: ``False``, weights untouched
        dilation, fade, growth, edge, corner, tent, learn_tent, init_scale, algorithm: see
            :class:`interpodil.InterpodilConv2d`. Without ``keep_variance``, ``init_scale`` matters
            to a later ``reset_parameters`` alone. Tents are learned also where weights are frozen.

    Raises:
        ValueError: if ``where`` or ``optimizer`` is of no use, an argument does not fit one of the
            chosen convolutions (its name is given), or ``keep_variance`` would scale a weight that
            a module which stays uses too.

    Warns:
        UserWarning: if nothing was changed, a pattern matched no convolution, or a tent that is
            to be learned is not in ``optimizer``.

    Example::

        >>> from torch import nn
        >>> model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 1))
        >>> print(convert(model, growth=5))
        1 of 2 convolutions interpodilated
          from 3x3 to 5x5: 0
          left, not chosen: 2
        >>> model(torch.randn(1, 3, 32, 32)).shape
        torch.Size([1, 8, 32, 32])
    """
    wanted = check_where(where)
    if optimizer is not None:
        check_optimizer(optimizer, new_groups=bool(learn_tent))
    shape = {
        "dilation": dilation,
        "fade": fade,
        "growth": growth,
        "edge": edge,
        "corner": corner,
        "tent": tent,
    }
    others = {"learn_tent": learn_tent, "init_scale": init_scale, "algorithm": algorithm}
    convolutions = {
        module: names
        for module, names in names_of_modules(model).items()
        if isinstance(module, _ConvNd)
    }
    chosen, skipped = _choose(wanted, convolutions)
    changed = [
        Change(names[0], conv, _layer_for(conv, names[0], {**shape, **others}))
        for conv, names in chosen.items()
    ]
    factors = _variance_factors(model, changed, shape, init_scale) if keep_variance else {}
    groups: list[dict[str, Any]] = []
    left_out: list[str] = []
    if optimizer is not None and learn_tent:
        layers = {change.name: change.after for change in changed}
        groups, left_out = groups_for_tents(optimizer, layers)
    replacements = {change.before: change.after for change in changed}
    conversion = Conversion(
        replacements.get(model, model), tuple(changed), tuple(skipped), tuple(left_out)
    )
    # Before any change, as a filter may turn a warning into an error.
    every_name = [name for names in convolutions.values() for name in names]
    for message in complaints(conversion, wanted, every_name):
        warnings.warn(message, stacklevel=2)
    if optimizer is not None:
        add_groups(optimizer, groups)
    with torch.no_grad():
        for weight, factor in factors.items():
            weight.mul_(factor)
    replace_modules(model, replacements)
    return conversion


def _choose(
    where: tuple[str, ...] | Predicate, convolutions: Mapping[_ConvNd, list[str]]
) -> tuple[dict[_ConvNd, list[str]], list[Skip]]:
    chosen, skipped = {}, []
    for conv, names in convolutions.items():
        reason = obstacle(conv)
        if is_forward_convolution(conv) and not chooses(where, names, conv):
            reason = NOT_CHOSEN
        if reason is None:
            chosen[conv] = names
        else:
            skipped.append(Skip(names[0], reason))
    return chosen, skipped


def _layer_for(conv: _ConvNd, name: str, arguments: Mapping[str, Any]) -> InterpodilConv:
    try:
        with random_state_kept([conv.weight]):
            layer = LAYERS[type(conv)](
                conv.in_channels,
                conv.out_channels,
                conv.kernel_size,
                conv.stride,
                conv.padding,
                groups=conv.groups,
                bias=conv.bias is not None,
                padding_mode=conv.padding_mode,
                **arguments,
                device=conv.weight.device,
                dtype=conv.weight.dtype,
            )
    except ValueError as error:
        raise ValueError(f"{name or 'the model'}: {error}") from error
    layer.weight, layer.bias = conv.weight, conv.bias
    # What others have noted on the layer, such as whether it was initialised.
    vars(layer).update({key: value for key, value in vars(conv).items() if key not in vars(layer)})
    layer.train(conv.training)
    return layer


def _variance_factors(
    model: nn.Module, changed: Iterable[Change], shape: Mapping[str, Any], init_scale: float
) -> dict[Tensor, float]:
    """Return by how much to multiply each weight, once even where several layers share it."""
    factors: dict[Tensor, float] = {}
    for change in changed:
        layer = change.after
        gain = expansion_gain(layer.kernel_size, **shape)
        factors[layer.weight] = init_scale / gain
    swapped = {change.before for change in changed}
    for name, module in model.named_modules():
        held = module.parameters(recurse=False)
        if module not in swapped and any(parameter in factors for parameter in held):
            raise ValueError(
                f"keep_variance must not change the weights of layers that stay, got {name}, whose "
                f"weight is that of a chosen convolution"
            )
    return factors
