"""A network of your own: two residual blocks, whose stem becomes the layer under test.

``sweeps models --help`` and ``docs/models.md`` say how it is called and what it has to return;
``sweeps run own-network.yaml`` in this folder sweeps it.
"""

import torch
from torch import nn


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut; the first halves the image."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def build(image_shape: tuple[int, int, int], num_classes: int, *, width: int = 32) -> nn.Module:
    """Build the network for images of ``image_shape``: channels, height, width."""
    return nn.Sequential(
        nn.Conv2d(image_shape[0], width, 3, padding=1),
        nn.ReLU(inplace=True),
        Block(width, 2 * width),
        Block(2 * width, 4 * width),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * width, num_classes),
    )
