"""The networks by name, each with the layer under test as its first convolution."""

from torch import Tensor, nn

from interpodil import InterpodilConv2d
from sweeps.spec.config import LayerConfig, RunConfig, pixels_left

TUTORIAL_CHANNELS = 35
RESNET_STEM_CHANNELS = 64


def build_model(config: RunConfig, *, size: int, num_classes: int) -> nn.Module:
    """Build the network that a configuration names, initialised from torch's generator.

    Args:
        config: the run.
        size: height and width of the images in pixels.
        num_classes: number of outputs.

    Raises:
        SweepsError: the configuration does not fit images of this size.

    Example:
        >>> model = build_model(RunConfig(), size=32, num_classes=10)
        >>> model(torch.zeros(1, 3, 32, 32)).shape
        torch.Size([1, 10])
    """
    layer = config.layer
    if config.model.name == "resnet18":
        return resnet18(build_layer(layer, 3, RESNET_STEM_CHANNELS, bias=False), num_classes)
    first = build_layer(layer, 3, TUTORIAL_CHANNELS, bias=True)
    return Tutorial(first, layer.stride, size, num_classes)


def build_layer(
    config: LayerConfig, in_channels: int, out_channels: int, *, bias: bool
) -> InterpodilConv2d:
    """Build the layer under test, which keeps the image's size at stride 1."""
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


class Tutorial(nn.Module):
    """The small classifier of PyTorch's CIFAR-10 tutorial kind.

    Two 3x3 convolutions of 35 channels, each with ReLU and 2x2 max-pooling, and a linear layer.

    Args:
        first: the layer under test, 3 to 35 channels.
        first_stride: its stride.
        size: height and width of the images in pixels.
        num_classes: number of outputs.

    Shape:
        - Input: (N, 3, size, size)
        - Output: (N, num_classes)

    Raises:
        SweepsError: the stride leaves no pixel of images of this size.
    """

    def __init__(self, first: nn.Conv2d, first_stride: int, size: int, num_classes: int) -> None:
        super().__init__()
        left = pixels_left(first_stride, size)
        self.conv1 = first
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(TUTORIAL_CHANNELS, TUTORIAL_CHANNELS, 3, padding=1)
        self.pool2 = nn.MaxPool2d(2)
        self.fc = nn.Linear(TUTORIAL_CHANNELS * left * left, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool1(self.conv1(x).relu())
        x = self.pool2(self.conv2(x).relu())
        return self.fc(x.flatten(1))


def resnet18(stem: nn.Conv2d, num_classes: int) -> nn.Module:
    """Build torchvision's ResNet-18, untrained, its 7x7 stem replaced.

    Args:
        stem: the layer under test, 3 to 64 channels, without bias.
        num_classes: number of outputs.

    Shape:
        - Input: (N, 3, H, W)
        - Output: (N, num_classes)
    """
    # torchvision takes seconds to import, and no other network needs it.
    from torchvision import models

    model = models.resnet18(num_classes=num_classes)
    model.conv1 = stem
    return model
