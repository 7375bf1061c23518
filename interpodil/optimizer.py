"""Learned tents in an optimizer: parameter groups of their own, without weight decay."""

import copy
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer

from interpodil.base import InterpodilConv


def no_weight_decay(model: nn.Module) -> set[str]:
    r"""Return the names of the learned tents' parameters, to exclude them from weight decay.

    Decay pulls a tent's samples, :math:`\tanh(\text{raw\_tent})`, towards 0, the plain dilated
    convolution. The name is timm's, whose optimizer factory asks models for such a set. Names are
    as in ``model.named_parameters()``; a layer that occurs several times in the model is listed
    under all its names.

    Args:
        model: a model, or a layer.

    Example::

        >>> from torch import nn
        >>> model = nn.Sequential(InterpodilConv2d(3, 8, learn_tent=True), nn.BatchNorm2d(8))
        >>> undecayed = no_weight_decay(model)
        >>> undecayed
        {'0.raw_tent'}
        >>> named = list(model.named_parameters())
        >>> decayed = [parameter for name, parameter in named if name not in undecayed]
        >>> tents = [parameter for name, parameter in named if name in undecayed]
        >>> optimizer = torch.optim.AdamW(
        ...     [{"params": decayed}, {"params": tents, "weight_decay": 0.0}], weight_decay=0.05
        ... )
        >>> [(len(group["params"]), group["weight_decay"]) for group in optimizer.param_groups]
        [(4, 0.05), (1, 0.0)]
    """
    return {
        f"{prefix}.{name}" if prefix else name
        for prefix, module in model.named_modules(remove_duplicate=False)
        if isinstance(module, InterpodilConv)
        for name, _ in module.named_parameters()
        # A parametrized one is called parametrizations.raw_tent.original.
        if "raw_tent" in name.split(".")
    }


def check_optimizer(optimizer: Optimizer, *, new_groups: bool) -> None:
    """Check an optimizer.

    Raises:
        ValueError: if it is not a torch optimizer, or needs new groups and can have only one.
    """
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"optimizer must be a torch optimizer, got {type(optimizer).__name__}")
    if new_groups and isinstance(optimizer, LBFGS):
        raise ValueError("optimizer must take several groups to learn tents with, got LBFGS")


def groups_for_tents(
    optimizer: Optimizer, layers: Mapping[str, nn.Module]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return new parameter groups for the learned tents of layers, and the layers left out.

    For every group that holds weights of the layers there is a new one with its hyperparameters
    and no weight decay. Layers whose weight is in no group are left out; their names are returned.
    """
    group_of = {
        id(parameter): index
        for index, group in enumerate(optimizer.param_groups)
        for parameter in group["params"]
    }
    tents: dict[int, list[tuple[str, Tensor]]] = {}
    left_out = []
    for name, layer in layers.items():
        index = group_of.get(id(layer.weight))
        if index is None:
            left_out.append(name)
        else:
            tent_name = f"{name}.raw_tent" if name else "raw_tent"
            assert isinstance(layer.raw_tent, nn.Parameter)
            tents.setdefault(index, []).append((tent_name, layer.raw_tent))
    groups = [_group_like(optimizer.param_groups[index], named) for index, named in tents.items()]
    return groups, left_out


def add_groups(optimizer: Optimizer, groups: list[dict[str, Any]]) -> None:
    """Add parameter groups to an optimizer; on an error, none."""
    before = len(optimizer.param_groups)
    try:
        for group in groups:
            optimizer.add_param_group(group)
    except BaseException:
        del optimizer.param_groups[before:]
        raise


def _group_like(group: Mapping[str, Any], named: list[tuple[str, Tensor]]) -> dict[str, Any]:
    # A learning rate can be a tensor that is changed in place, so groups must not share it.
    new = {
        key: copy.deepcopy(value)
        for key, value in group.items()
        if key not in ("params", "param_names")
    }
    if "weight_decay" in new:
        new["weight_decay"] = 0.0
    # An optimizer made from named parameters needs names for all of them.
    with_names = "param_names" in group
    new["params"] = named if with_names else [parameter for _, parameter in named]
    return new
