"""Which parameters to keep from weight decay."""

from torch import nn

from interpodil.conversion.convertible import InterpodilConv


def no_weight_decay(model: nn.Module) -> set[str]:
    r"""Return the names of the learned tents' parameters, to be kept from weight decay.

    Decay pulls a tent's samples, :math:`\tanh(\text{raw\_tent})`, towards 0, the plain dilated
    convolution, whatever the data say. The name is timm's, whose optimiser factory asks models for
    such a set. Names are as in ``model.named_parameters()``, which tells one name of a layer that
    stands in the model several times; here are all of them.

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
