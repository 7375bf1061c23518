"""Plain convolutions of a model swapped for interpodilated ones, and folded back."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.optim import Optimizer

from interpodil.conv import LAYERS, InterpodilConv, plain_convolution
from interpodil.expansion import expansion_gain
from interpodil.modules import (
    names_of_modules,
    random_state_kept,
    replace_modules,
)
from interpodil.optimizer import add_groups, check_optimizer, groups_for_tents
from interpodil.where import (
    Predicate,
    Where,
    check_where,
    chooses,
    is_forward_convolution,
    obstacle,
    spatial,
)

NOT_CHOSEN = "not chosen"


@dataclass(frozen=True, eq=False)
class Change:
    """A layer that was swapped: its first name in the model, what was there and what is."""

    name: str
    before: nn.Module
    after: InterpodilConv


@dataclass(frozen=True)
class Skip:
    """A convolution that stayed: its first name in the model, and why."""

    name: str
    reason: str


@dataclass(frozen=True, eq=False)
class Conversion:
    """What :func:`interpodil.convert` did; as a string, a report of a few lines.

    Attributes:
        model: the model; a new layer if the model itself was a plain convolution.
        changed: the layers that were swapped.
        skipped: the convolutions that were not.
        without_optimizer: names of layers whose learned tents the optimiser was not given, as it
            does not hold their weights.
    """

    model: nn.Module
    changed: tuple[Change, ...]
    skipped: tuple[Skip, ...]
    without_optimizer: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        total = len(self.changed) + len(self.skipped)
        sizes = [
            (f"from {_size(c.after.kernel_size)} to {_size(c.after.effective_size)}", c.name)
            for c in self.changed
        ]
        reasons = [(f"left, {skip.reason}", skip.name) for skip in self.skipped]
        tents = [("learned tents not in the optimizer", name) for name in self.without_optimizer]
        lines = [
            f"{len(self.changed)} of {total} convolutions interpodilated",
            *_by_title([*sizes, *reasons, *tents]),
        ]
        return "\n  ".join(lines)


def complaints(
    conversion: Conversion, where: tuple[str, ...] | Predicate, names: Sequence[str]
) -> list[str]:
    """Return what of a conversion was probably not meant, each in one line.

    Args:
        conversion: what was done.
        where: the patterns or the predicate by which convolutions were chosen.
        names: all names of the model's convolutions.
    """
    patterns = () if callable(where) else where
    useless = [p for p in patterns if not any(fnmatchcase(name, p) for name in names)]
    found = []
    if not names:
        found.append("nothing was converted: the model has no convolution")
    elif useless:
        title = "where is of no use in part" if conversion.changed else "nothing was converted"
        found.append(f"{title}: no name such as {_some(names)} matches {' or '.join(useless)}")
    elif not conversion.changed:
        reasons = _by_title((skip.reason, skip.name) for skip in conversion.skipped)
        found.append(f"nothing was converted: {'; '.join(reasons)}")
    if conversion.without_optimizer:
        layers = _some(conversion.without_optimizer)
        found.append(f"the optimizer holds no weight of {layers}, so their tents are not learned")
    return found


def _by_title(titled: Iterable[tuple[str, str]]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for title, name in titled:
        groups.setdefault(title, []).append(name)
    return [f"{title}: {_some(names)}" for title, names in groups.items()]


def _size(size: Sequence[int]) -> str:
    return "x".join(map(str, size))


def _some(names: Sequence[str], most: int = 4) -> str:
    rest = len(names) - most
    shown = ", ".join(name or "the model itself" for name in names[:most])
    return f"{shown} and {rest} more" if rest > 0 else shown


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


def fold(module: nn.Module) -> nn.Module:
    r"""Turn interpodilated layers into plain convolutions with equal outputs, for inference.

    The effective kernel becomes the weight of a :class:`torch.nn.Conv1d`, ``Conv2d`` or ``Conv3d``
    of dilation 1, with the stride, groups, padding mode, bias, dtype, device, memory format,
    training flag and ``requires_grad`` of the layer. Its padding is the layer's, plus what the
    effective kernel needs; ``"same"`` stays ``"same"``. A plain convolution pads both ends alike,
    so where the layer pads one more pixel after than before (an even number of taps, an even
    dilation) the kernel gets zeros in front of that axis.

    The tents that were learned, and parametrizations of the weights, are computed once and are
    fixed from then on. The parameters are new ones: an optimiser of the old ones knows nothing
    of them, and trained on, all weights of the large kernel change. The keys of the state dict are
    those of plain convolutions.

    Args:
        module: an interpodilated layer, or a model with any number of them.

    Returns:
        For a layer a new plain convolution; the layer itself is left alone. For a model the model,
        changed in place: each layer is folded once, wherever it stands. A model without such
        layers is returned as it is.

    Raises:
        ValueError: if a layer has forward or backward hooks or a forward of its own, or is of a
            subclass, which would be lost; or if it is lazy. Nothing is changed then.

    Example::

        >>> plain = fold(InterpodilConv2d(3, 16, 3, stride=2, padding=1))
        >>> plain
        Conv2d(3, 16, kernel_size=(7, 7), stride=(2, 2), padding=(3, 3))
    """
    plain: dict[nn.Module, nn.Module] = {
        layer: plain_convolution(layer, names[0] or "the layer")
        for layer, names in names_of_modules(module).items()
        if isinstance(layer, InterpodilConv)
    }
    return replace_modules(module, plain)
