"""The settings of the layer under test."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from sweeps.spec.validation import Section

T = TypeVar("T")

#: One value for both axes, or a list of two: that of the height, and that of the width.
PerAxis = Annotated[
    Annotated[T, Tag("both")] | Annotated[tuple[T, T], Tag("each")],
    Discriminator(lambda value: "each" if isinstance(value, list | tuple) else "both"),
]


def per_axis(value: T | tuple[T, T]) -> tuple[T, T]:
    """Return the values of both axes."""
    return value if isinstance(value, tuple) else (value, value)


class LayerConfig(Section):
    """The layer under test; see :class:`interpodil.InterpodilConv2d` for the meaning.

    Attributes:
        tent: a profile's name, in place of ``edge`` and ``corner``.
        init: how the weights start: as a plain convolution's, scaled for white input (``scale``)
            or for the first batch of training images (``lsuv``), or as an identity (``dirac``).
        init_scale: factor on the initial weights; with ``lsuv`` the outputs' standard deviation.
        blur: whether the images are blurred first, by a fixed 3x3 binomial filter.
    """

    kernel_size: PerAxis[Annotated[int, Field(ge=1, le=15)]] = 3
    dilation: PerAxis[Annotated[int, Field(ge=1, le=16)]] = 2
    growth: PerAxis[Annotated[int, Field(ge=1)] | None] = None
    fade: PerAxis[Annotated[float, Field(ge=0, le=64)]] = 1.0
    edge: float = 0.5
    corner: float = 0.25
    tent: Literal["linear", "cosine", "gaussian"] | None = None
    learn_tent: Literal["none", "layer", "channel"] = "none"
    init: Literal["scale", "lsuv", "dirac"] = "scale"
    init_scale: float = Field(1.0, gt=0)
    gain: Literal["init", "forward"] = "init"
    gain_of: Annotated[
        Annotated[Literal["white", "constant"], Tag("input")]
        | Annotated[float, Field(gt=0), Tag("number")],
        Discriminator(lambda value: "input" if isinstance(value, str) else "number"),
    ] = "white"
    stride: PerAxis[Annotated[int, Field(ge=1)]] | None = None
    blur: bool = False

    @field_validator("kernel_size")
    @classmethod
    def _is_odd(cls, kernel_size: int | tuple[int, int]) -> int | tuple[int, int]:
        if any(taps % 2 == 0 for taps in per_axis(kernel_size)):
            raise ValueError("use an odd number: an even kernel cannot keep an image's size")
        return kernel_size

    @model_validator(mode="after")
    def _growth_fits_the_window(self) -> Self:
        for taps, dilation, growth, _ in self._axes():
            window = dilation * (taps - 1) + 1
            if growth is not None and (growth < window or (growth - window) % 2):
                raise ValueError(
                    f"growth {growth} does not fit: with kernel_size {taps} and dilation "
                    f"{dilation} it is {window}, {window + 2}, {window + 4}, ..."
                )
        return self

    @model_validator(mode="after")
    def _has_one_tent(self) -> Self:
        if self.tent is not None and (self.edge, self.corner) != (0.5, 0.25):
            raise ValueError(
                f"tent {self.tent} goes without edge and corner; search them with "
                "when: {layer.tent: null}"
            )
        return self

    @model_validator(mode="after")
    def _tent_can_be_learned(self) -> Self:
        if self.learn_tent == "none":
            return self
        if all(d == 1 or (k == 1 and not fade) for k, d, _, fade in self._axes()):
            raise ValueError(
                f"learn_tent {self.learn_tent} needs pixels between the taps: a dilation above 1"
            )
        if max(abs(self.edge), abs(self.corner)) >= 1:
            raise ValueError(
                f"learn_tent {self.learn_tent} starts between -1 and 1, both excluded: edge "
                f"{self.edge} or corner {self.corner} is not"
            )
        return self

    def _axes(self) -> Iterator[tuple[int, int, int | None, float]]:
        settings = (self.kernel_size, self.dilation, self.growth, self.fade)
        return zip(*(per_axis(setting) for setting in settings), strict=True)
