"""A model from its configuration."""

from torch import nn

from interpodil import InterpodilConv2d
from sweeps.models.resnet18 import STEM_CHANNELS, resnet18_with_stem
from sweeps.models.tutorial import CHANNELS, Tutorial
from sweeps.spec.config import LayerConfig, RunConfig


def build_layer(
    config: LayerConfig, in_channels: int, out_channels: int, *, bias: bool
) -> InterpodilConv2d:
    """The layer under test, keeping the image's size at stride 1."""
    return InterpodilConv2d(
        in_channels,
        out_channels,
        config.kernel_size,
        stride=config.stride,
        padding=config.kernel_size // 2,
        dilation=config.dilation,
        bias=bias,
        fade=config.fade,
        growth=config.growth,
        edge=config.edge,
        corner=config.corner,
        init_scale=config.init_scale,
    )


def build_model(config: RunConfig, *, size: int, num_classes: int) -> nn.Module:
    """The network that a configuration describes, freshly initialised from torch's generator.

    Args:
        config: the run.
        size: height and width of the images in pixels.
        num_classes: number of outputs.

    Raises:
        SweepsError: the configuration does not go with images of this size.
    """
    layer = config.layer
    if config.model.name == "resnet18":
        return resnet18_with_stem(build_layer(layer, 3, STEM_CHANNELS, bias=False), num_classes)
    first = build_layer(layer, 3, CHANNELS, bias=True)
    return Tutorial(first, layer.stride, size, num_classes)
