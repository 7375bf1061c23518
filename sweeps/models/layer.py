"""The layer under test in a network: as its new stem, or in place of its convolutions."""

import warnings
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from interpodil import Conversion, InterpodilConv2d, convert, dirac_, spatial, stem, three_by_three
from sweeps.errors import SweepsError
from sweeps.models.networks import TUTORIAL_CHANNELS, Tutorial, build_network
from sweeps.spec.config import RunConfig
from sweeps.spec.layer import LayerConfig, per_axis

RESNET_STEM_CHANNELS = 64

_PREDICATES = {"stem": stem, "three_by_three": three_by_three, "spatial": spatial}
_SHOWN_NAMES = 12


def build_model(config: RunConfig, *, size: int, num_classes: int) -> nn.Module:
    """Build the network that a configuration names, initialized from torch's generator.

    Args:
        config: the run.
        size: height and width of the images in pixels.
        num_classes: number of outputs.

    Raises:
        SweepsError: the configuration does not fit images of this size, or the network.

    Example:
        >>> model = build_model(RunConfig(), size=32, num_classes=10)
        >>> model(torch.zeros(1, 3, 32, 32)).shape
        torch.Size([1, 10])
    """
    layer, model = config.layer, config.model
    if not model.has_new_stem:
        network = build_network(model, size=size, num_classes=num_classes)
        insert_layer(network, config)
        return network
    stride = per_axis(layer.stride or 1)
    if model.title == "tutorial":
        first = new_layer(layer, 3, TUTORIAL_CHANNELS, stride=stride, bias=True)
        return Tutorial(first, stride, size, num_classes)
    first = new_layer(layer, 3, RESNET_STEM_CHANNELS, stride=stride, bias=False)
    network = build_network(model, size=size, num_classes=num_classes)
    network.conv1 = first
    return network


def insert_layer(network: nn.Module, config: RunConfig) -> Conversion:
    """Convert the convolutions that ``model.where`` chooses, in place.

    They keep their taps, stride, padding, groups and weights, which are scaled for the output to
    keep its variance, times ``layer.init_scale``. ``layer.stride`` replaces the stride of a single
    one.

    Raises:
        SweepsError: none is chosen, or a setting of the layer does not fit one that is.
    """
    where = config.model.where
    predicate = _PREDICATES.get(where)

    def chosen(name: str, conv: Any) -> bool:
        return (
            predicate(name, conv) if predicate else spatial(name, conv) and fnmatchcase(name, where)
        )

    with warnings.catch_warnings():
        # An error below reports that nothing was converted.
        warnings.simplefilter("ignore", UserWarning)
        try:
            conversion = convert(
                network, chosen, keep_variance=True, **layer_arguments(config.layer)
            )
        except ValueError as error:
            raise SweepsError(f"layer: does not fit {config.model.title}: {error}") from None
    if not conversion.changed:
        raise SweepsError(f"model.where: {where} {_nothing_chosen(network, conversion)}")
    stride = config.layer.stride
    if stride is not None:
        if len(conversion.changed) > 1:
            raise SweepsError(
                f"layer.stride: model.where {where} means {len(conversion.changed)} convolutions "
                f"of {config.model.title}, which keep their strides; leave it out"
            )
        conversion.changed[0].after.stride = per_axis(stride)
    if config.layer.init == "dirac":
        for change in conversion.changed:
            _start_as_identity(change.after, change.name, config.layer.init_scale)
    return conversion


def _start_as_identity(layer: Any, name: str, scale: float) -> None:
    if layer.in_channels != layer.out_channels:
        raise SweepsError(
            f"layer.init: dirac needs as many output as input channels, and {name} has "
            f"{layer.out_channels} and {layer.in_channels}; choose others with model.where"
        )
    try:
        # Values on `meta` cannot be checked, and need not be set.
        if not layer.weight.is_meta:
            dirac_(layer)
    except ValueError as error:
        raise SweepsError(f"layer.init: {name}: {error}") from None
    with torch.no_grad():
        layer.weight.mul_(scale)


def _nothing_chosen(network: nn.Module, conversion: Conversion) -> str:
    names = [name for name, m in network.named_modules() if isinstance(m, _ConvNd)]
    kept = [skip for skip in conversion.skipped if skip.reason != "not chosen"]
    if kept:
        return (
            f"chooses no convolution that can become the layer: {kept[0].name} is {kept[0].reason}"
        )
    if not names:
        return "chooses nothing: the network has no convolution"
    rest = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return (
        "chooses no convolution with more than one tap; there are: "
        f"{', '.join(names[:_SHOWN_NAMES])}{rest}"
    )


def layer_arguments(config: LayerConfig) -> dict[str, Any]:
    """Return the layer's settings as arguments of the layer and of :func:`interpodil.convert`."""
    arguments = config.model_dump(exclude={"kernel_size", "stride", "init", "learn_tent", "blur"})
    return {**arguments, "learn_tent": config.learn_tent != "none" and config.learn_tent}


def new_layer(
    config: LayerConfig, in_channels: int, out_channels: int, *, stride: tuple[int, int], bias: bool
) -> nn.Module:
    """Build the layer under test, which keeps the image's size at stride 1."""
    layer = InterpodilConv2d(
        in_channels,
        out_channels,
        config.kernel_size,
        stride=stride,
        padding=tuple(taps // 2 for taps in per_axis(config.kernel_size)),
        bias=bias,
        **layer_arguments(config),
    )
    return nn.Sequential(Blur(in_channels), layer) if config.blur else layer


class Blur(nn.Conv2d):
    """The 3x3 binomial filter, (1 2 1) / 4 along each axis, of every channel; never trained."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            channels, channels, 3, padding=1, groups=channels, bias=False, padding_mode="reflect"
        )
        line = torch.tensor([0.25, 0.5, 0.25])
        self.weight.requires_grad_(False)
        self.weight.copy_(torch.outer(line, line).expand_as(self.weight))
