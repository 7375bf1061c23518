"""The small classifier of PyTorch's CIFAR-10 tutorial kind, with the layer as first convolution."""

from torch import Tensor, nn

from sweeps.spec.config import pixels_left

CHANNELS = 35


class Tutorial(nn.Module):
    """Two 3x3 convolutions of 35 channels, each with ReLU and 2x2 max-pooling, and a linear layer.

    Args:
        first: the layer under test, 3 to 35 channels.
        first_stride: its stride.
        size: height and width of the images in pixels.
        num_classes: number of outputs.

    Shape:
        - Input: (N, 3, size, size)
        - Output: (N, num_classes)

    Raises:
        ValueError: the stride leaves no pixel of images of this size.
    """

    def __init__(self, first: nn.Conv2d, first_stride: int, size: int, num_classes: int) -> None:
        super().__init__()
        left = pixels_left(first_stride, size)
        self.conv1 = first
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.pool2 = nn.MaxPool2d(2)
        self.fc = nn.Linear(CHANNELS * left * left, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool1(self.conv1(x).relu())
        x = self.pool2(self.conv2(x).relu())
        return self.fc(x.flatten(1))
