"""Converting plain convolutions of a model to interpodilated ones."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.optim import Optimizer

from interpodil.base import InterpodilConv
from interpodil.conv import LAYERS
from interpodil.expansion import Signal
from interpodil.filters import Gain
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
    """A converted layer: its first name in the model, the old and the new layer."""

    name: str
    before: nn.Module
    after: InterpodilConv


@dataclass(frozen=True)
class Skip:
    """A convolution that was not converted: its first name in the model, and the reason."""

    name: str
    reason: str


@dataclass(frozen=True, eq=False)
class Conversion:
    """The result of :func:`interpodil.convert`; its string is a report of a few lines.

    Attributes:
        model: the model; a new layer if the model itself was a plain convolution.
        changed: the converted layers.
        skipped: the convolutions that were not converted.
        without_optimizer: names of layers whose learned tents are not in the optimizer, as their
            weights are not.
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


def _probable_mistakes(
    conversion: Conversion, where: tuple[str, ...] | Predicate, names: Sequence[str]
) -> list[str]:
    """Return one line for each probable mistake in a conversion.

    Args:
        conversion: the conversion.
        where: the patterns or the predicate that chose the convolutions.
        names: all names of the model's convolutions.
    """
    patterns = () if callable(where) else where
    useless = [p for p in patterns if not any(fnmatchcase(name, p) for name in names)]
    found = []
    if not names:
        found.append("nothing was converted: the model has no convolution")
    elif useless:
        title = "part of where had no effect" if conversion.changed else "nothing was converted"
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
    gain: Gain = "init",
    gain_of: float | Signal = "white",
    algorithm: str = "auto",
) -> Conversion:
    r"""Replace plain convolutions of a model by interpodilated ones, in place.

    The new layers hold the same parameters as the old ones, so an optimizer keeps training them,
    and have the same stride, padding, padding mode, groups, dtype, device and training flag. Output
    sizes and the keys of the state dict do not change; with ``learn_tent`` each layer has a
    ``raw_tent`` more, and checkpoints without it still load. The random state does not change.

    Only layers of the exact type :class:`torch.nn.Conv1d`, ``Conv2d`` or ``Conv3d`` with a dilation
    of 1 are converted. Subclasses, parametrized layers and layers with hooks (which old-style
    weight normalization uses) would lose what they add, so they stay and are reported. A layer
    with several names in the model is converted once, under all of them. References to a layer
    outside the model's submodules, in a list for instance, are not replaced.

    If an error is raised, nothing is changed.

    Note:
        A pretrained network gets inputs it was not trained on, as each layer's output is louder: by
        :func:`interpodil.expansion_gain` for white input and by more for natural images, which
        multiplies over layers without normalization. ``gain="forward"`` divides it out and leaves
        the weights as they are; ``keep_variance`` scales the weights in place, but not the
        optimizer's momentum buffers.

    Note:
        With ``learn_tent``, create learning rate schedulers after the conversion. Some of those
        created before work with the new groups (``StepLR``), others raise an error at their next
        step (``LambdaLR``, ``CyclicLR``, ``CosineAnnealingWarmRestarts``).

    Args:
        model: the model, or a single convolution; :attr:`Conversion.model` is the result.
        where: the convolutions to convert. A glob pattern on qualified names (as of
            :mod:`fnmatch`: ``*`` matches dots too), several patterns, or a predicate of name and
            convolution such as :func:`interpodil.stem` or :func:`interpodil.three_by_three`.
            Default: :func:`interpodil.spatial`, all with more than one tap on some axis.
        optimizer: an optimizer that holds the model's parameters, with or without state. Learned
            tents go into new groups, one for each group that holds weights of converted layers,
            with its hyperparameters and no weight decay. If it does not hold a layer's weight it
            does not get the tent, with a warning.
        keep_variance: whether to multiply the weights by ``init_scale`` over the gain
            (``init_scale`` alone with ``gain="forward"``), so that with an ``init_scale`` of 1 the
            output's variance for white input stays the same. Default: ``False``
        dilation, fade, growth, edge, corner, tent, learn_tent, algorithm: see
            :class:`interpodil.InterpodilConv2d`. Tents are learned even where weights are frozen.
        init_scale, gain, gain_of: likewise. Without ``keep_variance``, ``init_scale`` and
            ``gain="init"`` only affect a later ``reset_parameters``.

    Raises:
        ValueError: if ``where`` or ``optimizer`` is invalid, an argument does not fit one of the
            chosen convolutions (the message has its name), or ``keep_variance`` would scale a
            weight that is also used by a module that is not converted.

    Warns:
        UserWarning: if nothing was changed, a pattern matched no convolution, or a learned tent is
            not in ``optimizer``.

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
    others = {
        "learn_tent": learn_tent,
        "init_scale": init_scale,
        "gain": gain,
        "gain_of": gain_of,
        "algorithm": algorithm,
    }
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
    factors = _variance_factors(model, changed) if keep_variance else {}
    groups: list[dict[str, Any]] = []
    left_out: list[str] = []
    if optimizer is not None and learn_tent:
        layers = {change.name: change.after for change in changed}
        groups, left_out = groups_for_tents(optimizer, layers)
    replacements = {change.before: change.after for change in changed}
    conversion = Conversion(
        replacements.get(model, model), tuple(changed), tuple(skipped), tuple(left_out)
    )
    # Before any change, as warnings may be turned into errors.
    every_name = [name for names in convolutions.values() for name in names]
    for message in _probable_mistakes(conversion, wanted, every_name):
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
    # Attributes that others have set on the layer, such as whether it was initialized.
    vars(layer).update({key: value for key, value in vars(conv).items() if key not in vars(layer)})
    layer.train(conv.training)
    return layer


def _variance_factors(model: nn.Module, changed: Iterable[Change]) -> dict[Tensor, float]:
    """Return the factor for each weight, one even where several layers share it."""
    factors: dict[Tensor, float] = {}
    for change in changed:
        factors[change.after.weight] = change.after.init_factor
    swapped = {change.before for change in changed}
    for name, module in model.named_modules():
        held = module.parameters(recurse=False)
        if module not in swapped and any(parameter in factors for parameter in held):
            raise ValueError(
                f"keep_variance must not change the weights of layers that stay, got {name}, whose "
                f"weight is that of a chosen convolution"
            )
    return factors
