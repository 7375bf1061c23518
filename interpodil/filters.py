"""The tent in the forms that the algorithms take, and the constants that a layer keeps of it."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from interpodil.expansion import Signal, measure_gain, place, placements
from interpodil.spread import Spread, canonical_window
from interpodil.tent_filter import Lines
from interpodil.tents import (
    LearnTent,
    are_separable,
    axis_line,
    check_tent,
    is_separable,
    make_tent,
    raw_from_tent,
)

Gain = Literal["init", "forward"]
# Layers of so few channels keep their tent as a dense kernel, too, for small inputs.
DENSE_CHANNELS = 8


@dataclass(slots=True)
class Filters:
    r"""A tent in the forms that the algorithms take.

    Attributes:
        spread: where the taps lie.
        samples: the tent, flat, with a leading axis where every channel has its own.
        separable: whether the tent is the product of one line per axis.
        constant: whether the tent is neither differentiated nor batched.
        gain: what the effective kernel is divided by; ``dense`` and ``placed`` carry it.
        lines: the lines of a constant, separable tent as numbers, 1 at their centers, if known.
        dense: the tent as a kernel of as many input as output channels, zero between different
            ones, if known.
        placed: the tent as placed at every tap, if known, each flat.
        axis_weights: the :func:`placements` of the spread, if known.
    """

    spread: Spread
    samples: Tensor
    separable: bool = False
    constant: bool = False
    gain: float = 1.0
    lines: Lines | None = None
    dense: Tensor | None = None
    placed: Tensor | None = None
    axis_weights: tuple[Tensor, ...] | None = None

    @property
    def per_channel(self) -> bool:
        """Whether every channel has its own tent."""
        return self.samples.dim() > 1

    @property
    def tent(self) -> Tensor:
        """The tent over the gain, with a leading axis where every channel has its own."""
        tent = self.samples.unflatten(-1, self.spread.tent_shape)
        return tent if self.gain == 1 else tent / self.gain

    def expansion(self, like: Tensor) -> Tensor:
        """Return the placed tent, :math:`(k_0 k_1, S_0, S_1)`, rounded once to a tensor's dtype."""
        if self.placed is not None:
            return self.placed.unflatten(-1, self.spread.effective_size)
        tent = self.tent
        exact = tent.to(torch.promote_types(tent.dtype, torch.float32))
        placed = place(exact, self.spread, self.axis_weights)
        return placed.to(device=like.device, dtype=like.dtype)

    def axis_lines(self) -> list[Tensor]:
        """Return the lines of a separable tent, one per axis; their product is the tent."""
        tent = self.tent
        first, *others = [axis_line(tent, axis) for axis in range(self.spread.dims)]
        # Each has the center, and with it the gain; their product needs it once.
        return [first, *(others if self.gain == 1 else [line * self.gain for line in others])]

    def scale(self, weight: Tensor) -> Tensor:
        """Divide a weight by the gain, where no tent carries it."""
        return weight if self.gain == 1 else weight / self.gain

    def first_axis(self, like: Tensor) -> tuple[Tensor, Tensor]:
        r"""Split the :meth:`expansion` of a separable tent into the first axis and the others.

        Shape:
            - Output: :math:`(k_0, S_0)` and :math:`(k_1 \cdots, S_1, \ldots)`
        """
        spread = self.spread
        placed = self.expansion(like).unflatten(0, spread.kernel_size)
        dims = spread.dims
        taps = range(1, dims)
        # At a tap its tent is 1 over the gain, so the other axes' factor of that entry is 1.
        first = placed
        for axis in reversed(taps):
            first = first.select(dims + axis, self._pixel_of_first_tap(axis))
        for axis in reversed(taps):
            first = first.select(axis, 0)
        others = placed.select(dims, self._pixel_of_first_tap(0)).select(0, 0)
        if self.gain != 1:
            others = others * self.gain
        return first, others.flatten(0, dims - 2) if taps else others[None]

    def _pixel_of_first_tap(self, axis: int) -> int:
        spread = self.spread
        window = canonical_window(spread.kernel_size[axis], spread.dilation[axis])
        return (spread.effective_size[axis] - window) // 2


class Constants:
    """The exact numbers behind a layer's constants, and the only maker of tensors of them.

    The numbers are Python's, which have no device and no dtype: when a layer's tensors are cast,
    moved or emptied, the right ones can be made again.

    Args:
        spread: where the taps lie.
        tent: the initial tent, in double precision on the CPU.
        separable: whether this tent is the product of one line per axis.
        learned: whether the tent is learned, and whether one for the layer or one per channel.
        in_channels: channels of the input.
        out_channels: channels of the output.
        gain: where the gain is taken out.
        gain_of: the input whose gain it is, or a number.

    Attributes:
        gain: the gain of the initial tent. That of a learned tent stays as it is: a tent that was
            normalized in every pass could not learn its own scale.
        forward_gain: what the effective kernel is divided by.

    Raises:
        ValueError: if a learned tent cannot start as this one, or there is no such gain.
    """

    def __init__(
        self,
        spread: Spread,
        tent: Tensor,
        separable: bool,
        learned: Literal[False] | LearnTent,
        in_channels: int,
        out_channels: int,
        gain: Gain,
        gain_of: float | Signal,
    ) -> None:
        self.spread = spread
        self.separable = separable and not learned
        if gain not in get_args(Gain):
            raise ValueError(f"gain must be one of {', '.join(get_args(Gain))}, got {gain!r}")
        self.gain = measure_gain(place(tent, spread), spread.dims, gain_of)
        self.forward_gain = self.gain if gain == "forward" else 1.0
        self._samples = tent.tolist()
        self._channels = max(in_channels, out_channels)
        self._raw, self._lines = None, None
        if learned:
            self._raw = raw_from_tent(tent, spread.dims, in_channels, learned).tolist()
        elif separable:
            self._lines = tuple(tuple(axis_line(tent, i).tolist()) for i in range(spread.dims))

    def make(self, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
        """Return the constants by name, each number rounded once.

        A cast to a memory format takes tensors of four axes or more for images, so that only the
        dense tent has as many, which is a convolution's weight.
        """
        dims = self.spread.dims
        if self._raw is not None:
            # A learned tent is placed in single precision or better.
            like = torch.empty((), device=device, dtype=torch.promote_types(dtype, torch.float32))
            placed = placements(self.spread, like)
            return {f"placement_{axis}": weights for axis, weights in enumerate(placed)}
        tent = torch.tensor(self._samples, dtype=torch.float64, device="cpu")
        expansion = place(tent / self.forward_gain, self.spread)
        made = {"fixed_tent": tent.flatten(-dims), "expansion": expansion.flatten(-dims)}
        if self.spread.uniform and tent.dim() == dims == 2 and self._channels <= DENSE_CHANNELS:
            same = torch.eye(self._channels, dtype=torch.float64, device="cpu")
            made["dense_tent"] = same[..., None, None] * (tent / self.forward_gain)
        return {name: value.to(device=device, dtype=dtype) for name, value in made.items()}

    def filters(self, constants: dict[str, Tensor]) -> Filters:
        """Return a fixed tent's constants in the forms that the algorithms take."""
        return Filters(
            self.spread,
            constants["fixed_tent"],
            self.separable,
            constant=True,
            gain=self.forward_gain,
            lines=self._lines,
            dense=constants.get("dense_tent"),
            placed=constants["expansion"],
        )

    def raw_tent(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Return the initial values of a learned tent's parameter."""
        assert self._raw is not None
        return torch.tensor(self._raw, device=device, dtype=dtype)


def check_learn_tent(learn: bool | LearnTent, spread: Spread) -> Literal[False] | LearnTent:
    """Return whether no tent is learned, one for the layer or one per channel.

    Raises:
        ValueError: if ``learn`` is none of these, or there is no tent to learn.
    """
    names = get_args(LearnTent)
    if learn is False:
        return False
    if learn is not True and learn not in names:
        raise ValueError(f"learn_tent must be a bool, {' or '.join(names)}, got {learn!r}")
    if spread.plain or math.prod(spread.tent_shape) == 1:
        raise ValueError(
            f"learn_tent={learn!r} needs pixels between the taps or beyond them, got "
            f"dilation={spread.dilation}, fade={spread.fade}, growth={spread.growth}"
        )
    return "layer" if learn is True else learn


def make_constants(
    spread: Spread,
    edge: float,
    corner: float,
    tent: str | Tensor | None,
    learned: Literal[False] | LearnTent,
    in_channels: int,
    out_channels: int,
    gain: Gain,
    gain_of: float | Signal,
) -> Constants:
    """Return the constants for a layer's arguments.

    Raises:
        ValueError: if the arguments give no valid tent or gain, or a tent that cannot be learned.
    """
    for name, value in (("edge", edge), ("corner", corner)):
        if isinstance(value, Tensor):
            raise ValueError(f"{name} must be a number, got a tensor; a tent may be a tensor")
    if isinstance(tent, Tensor) and tent.requires_grad:
        raise ValueError("tent must not require a gradient, pass learn_tent to learn it")
    # These numbers are read now, also where modes such as `FakeTensorMode` hide values.
    with _disable_current_modes():
        surface = make_tent(spread.dilation, edge, corner, tent, in_channels)
        surface = surface.detach().to(device="cpu", dtype=torch.float64)
        check_tent(surface, spread.dims)
        if isinstance(tent, Tensor):
            separable = is_separable(surface, spread.dims)
        else:
            separable = tent is not None or spread.dims == 1 or are_separable(edge, corner)
        return Constants(
            spread, surface, separable, learned, in_channels, out_channels, gain, gain_of
        )
