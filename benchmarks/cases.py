"""The layers on which the ways to compute them are held against each other."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from interpodil import InterpodilConv1d, InterpodilConv2d, InterpodilConv3d

_LAYERS = {1: InterpodilConv1d, 2: InterpodilConv2d, 3: InterpodilConv3d}
_PLAIN = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}

CONTIGUOUS, CHANNELS_LAST = "contiguous", "channels_last"


@dataclass(frozen=True)
class Case:
    """A layer with 3 taps and a padding of 1 per axis, without bias, and its input.

    Attributes:
        batch: samples a batch.
        in_channels: channels of the input.
        size: pixels of the input per axis; as many axes as the layer has.
        out_channels: channels of the output.
        memory_format: a key of ``benchmarks.measurement.MEMORY_FORMATS``.
        stride: stride on every axis.
        groups: blocks of channels.
        dilation: the layer's, as ``fade`` and ``growth``.
        algorithm: the layer's where the candidates do not differ in it.
    """

    batch: int
    in_channels: int
    size: tuple[int, ...]
    out_channels: int
    memory_format: str
    stride: int = 1
    groups: int = 1
    dilation: int = 2
    fade: float | None = None
    growth: int | None = None
    algorithm: str = "auto"

    @property
    def input_size(self) -> tuple[int, ...]:
        """Size of the input's every axis."""
        return (self.batch, self.in_channels, *self.size)

    @property
    def is_first_layer(self) -> bool:
        """Whether the input has as few channels as data, which need no gradient."""
        return self.in_channels <= 3

    def __str__(self) -> str:
        stride = f" /{self.stride}" if self.stride > 1 else ""
        settings = {
            "groups": self.groups if self.groups > 1 else None,
            "dilation": self.dilation if self.dilation != 2 else None,
            "fade": self.fade,
            "growth": self.growth,
        }
        given = [f"{name} {value}" for name, value in settings.items() if value is not None]
        if self.algorithm != "auto":
            given.append(self.algorithm)
        layer = f"{'x'.join(map(str, self.input_size))} -> {self.out_channels}{stride}"
        return ", ".join([layer, *given, self.memory_format])

    def build(self, **changes: Any) -> nn.Module:
        """Build the layer, with other settings if any are given."""
        settings = {
            "dilation": self.dilation,
            "fade": self.fade,
            "growth": self.growth,
            "algorithm": self.algorithm,
        }
        return _LAYERS[len(self.size)](
            self.in_channels, self.out_channels, 3, **self._shared(), **(settings | changes)
        )

    def build_plain(self) -> nn.Module:
        """Build the plain convolution of the same arguments, without dilation."""
        plain = _PLAIN[len(self.size)]
        return plain(self.in_channels, self.out_channels, 3, **self._shared())

    def _shared(self) -> dict[str, Any]:
        return {"stride": self.stride, "padding": 1, "groups": self.groups, "bias": False}


ALGORITHM_CASES = (
    Case(16, 128, (28, 28), 128, CHANNELS_LAST, groups=128),
    Case(16, 128, (28, 28), 128, CONTIGUOUS, groups=128),
    Case(16, 128, (28, 28), 128, CHANNELS_LAST, stride=2, groups=128),
    Case(16, 128, (28, 28), 128, CHANNELS_LAST, groups=128, fade=3),
    Case(16, 128, (28, 28), 128, CHANNELS_LAST, groups=8),
    Case(16, 128, (28, 28), 4, CHANNELS_LAST),
    Case(16, 64, (28, 28), 256, CHANNELS_LAST),
    Case(16, 64, (28, 28), 64, CHANNELS_LAST, dilation=3),
    Case(16, 64, (28, 28), 64, CHANNELS_LAST, dilation=4),
    Case(16, 64, (28, 28), 64, CONTIGUOUS, dilation=4),
    Case(16, 3, (112, 112), 64, CHANNELS_LAST, dilation=3),
    Case(16, 3, (112, 112), 64, CHANNELS_LAST, growth=5),
    Case(16, 3, (112, 112), 64, CONTIGUOUS, growth=5),
    Case(16, 64, (28, 28), 64, CHANNELS_LAST, fade=0.5),
    Case(16, 64, (2000,), 64, CONTIGUOUS),
    Case(16, 64, (2000,), 64, CONTIGUOUS, growth=5),
    Case(16, 64, (2000,), 64, CONTIGUOUS, fade=3),
    Case(16, 2, (8000,), 32, CONTIGUOUS),
    Case(4, 16, (16, 24, 24), 32, CONTIGUOUS),
    Case(4, 16, (16, 24, 24), 32, CHANNELS_LAST),
    Case(4, 16, (16, 24, 24), 32, CONTIGUOUS, growth=5),
    Case(4, 1, (32, 48, 48), 16, CONTIGUOUS),
)

BACKWARD_CASES = tuple(
    Case(16, inputs, (28, 28), outputs, memory_format, algorithm="tent_first")
    for memory_format in (CHANNELS_LAST, CONTIGUOUS)
    for inputs, outputs in ((128, 32), (128, 64), (128, 128), (64, 128), (64, 256))
)

LAYOUT_CASES = tuple(
    Case(8, channels, (56, 56), 64, CONTIGUOUS, stride, growth=growth, algorithm=algorithm)
    for algorithm, stride, growth in (
        ("tent_first", 1, None),
        ("tent_first", 2, None),
        ("axis_first", 1, 5),
    )
    for channels in (3, 8, 16, 64)
)

SIDE_CASES = tuple(
    Case(batch, inputs, (size, size), outputs, memory_format, algorithm="tent_first")
    for memory_format in (CHANNELS_LAST, CONTIGUOUS)
    for batch, inputs, size, outputs in (
        (16, 128, 28, 4),
        (16, 256, 28, 64),
        (16, 128, 28, 64),
        (16, 128, 28, 128),
        (4, 128, 112, 32),
    )
)
