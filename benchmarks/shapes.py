"""The layers that are measured: batch, channels, picture size and stride."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """A 3x3 convolution with a padding of 1 on square pictures of ``size`` pixels a side."""

    batch: int
    in_channels: int
    out_channels: int
    size: int
    stride: int

    @property
    def input_size(self) -> tuple[int, ...]:
        """Size of the input's every axis."""
        return (self.batch, self.in_channels, self.size, self.size)

    @property
    def is_first_layer(self) -> bool:
        """Whether the input is a picture, which needs no gradient."""
        return self.in_channels == 3

    def __str__(self) -> str:
        picture = f"{self.in_channels}x{self.size}x{self.size}"
        stride = f" /{self.stride}" if self.stride > 1 else ""
        return f"{self.batch}x{picture} -> {self.out_channels}{stride}"


SHAPES = (
    Shape(128, 3, 35, 32, 1),
    Shape(128, 35, 35, 16, 1),
    Shape(64, 64, 64, 32, 1),
    Shape(16, 128, 128, 28, 1),
    Shape(16, 3, 64, 224, 1),
    Shape(16, 3, 64, 224, 2),
    Shape(16, 3, 64, 224, 4),
    Shape(16, 64, 128, 56, 2),
    Shape(16, 256, 64, 28, 1),
)
