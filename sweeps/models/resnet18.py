"""ResNet-18 with the layer as its stem, for large images."""

from torch import nn

STEM_CHANNELS = 64


def resnet18_with_stem(stem: nn.Conv2d, num_classes: int) -> nn.Module:
    """torchvision's ResNet-18, untrained, its 7x7 stem replaced.

    Args:
        stem: the layer under test, 3 to 64 channels, without bias.
        num_classes: number of outputs.

    Shape:
        - Input: (N, 3, H, W)
        - Output: (N, num_classes)
    """
    # torchvision takes seconds to import, and no other model needs it.
    from torchvision.models import resnet18

    model = resnet18(num_classes=num_classes)
    model.conv1 = stem
    return model
