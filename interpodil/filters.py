"""The tent in the forms that the algorithms take, and the constants that a layer keeps of it."""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from interpodil.expansion import Signal, measure_gain, place, placements
from interpodil.plan import FEW_CHANNELS
from interpodil.spread import Spread, canonical_window
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
# The numbers of one line per axis.
Lines = tuple[tuple[float, ...], ...]


@dataclass(slots=True)
class Filters:
    r"""A tent in the forms that the algorithms take.

    Attributes:
        spread: where the taps lie.
        tent: the tent over the gain, :math:`(2 d_0 - 1, \ldots)`, with a leading axis where every
            channel has its own.
        separable: whether the tent is the product of one line per axis.
        constant: whether the tent is neither differentiated nor batched.
        gain: what the effective kernel is divided by. ``tent``, ``dense`` and ``placed`` carry it.
        lines: the lines of a constant, separable tent as numbers, 1 at their centers, if known.
        dense: the tent as a kernel of as many input as output channels, zero between different
            ones, if known.
        placed: the tent as placed at every tap, if known.
        axis_weights: the :func:`placements` of the spread, if known.
    """

    spread: Spread
    tent: Tensor
    separable: bool
    constant: bool = False
    gain: float = 1.0
    lines: Lines | None = None
    dense: Tensor | None = None
    placed: Tensor | None = None
    axis_weights: tuple[Tensor, ...] | None = None

    @property
    def per_channel(self) -> bool:
        return self.tent.dim() > self.spread.dims

    def expansion(self, like: Tensor) -> Tensor:
        """Return the placed tent, :math:`(k_0 k_1, S_0, S_1)`, rounded once to a tensor's dtype."""
        if self.placed is not None:
            return self.placed
        exact = self.tent.to(torch.promote_types(self.tent.dtype, torch.float32))
        placed = place(exact, self.spread, self.axis_weights)
        return placed.to(device=like.device, dtype=like.dtype)

    def axis_lines(self) -> list[Tensor]:
        """Return the lines of a separable tent, one per axis; their product is the tent."""
        first, *others = [axis_line(self.tent, axis) for axis in range(self.spread.dims)]
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
        elif separable and spread.uniform:
            self._lines = tuple(tuple(axis_line(tent, i).tolist()) for i in range(spread.dims))
        self._shared = tent.dim() == spread.dims

    def names(self, algorithm: str) -> list[str]:
        """Return the names of the constants that a layer holds for an algorithm.

        Placed tents are small on one axis; otherwise only some layers need them.
        """
        spread, dims = self.spread, self.spread.dims
        places = not spread.uniform or algorithm == "expanded" or dims == 1
        if self._raw is not None:
            return [f"placement_{axis}" for axis in range(dims)] if places else []
        names = ["fixed_tent"]
        if self.forward_gain != 1:
            names.append("scaled_tent")
        if places:
            names.append("expansion")
        elif dims == 2 and self._shared and self._channels <= FEW_CHANNELS:
            names.append("dense_tent")
        return names

    def make(
        self, names: Iterable[str], device: torch.device, dtype: torch.dtype
    ) -> dict[str, Tensor]:
        """Return constants by name, each number rounded once.

        They have no more than three axes, or a cast to a memory format would take them for images.
        """
        dims = self.spread.dims
        if self._raw is not None:
            # A learned tent is placed in single precision or better.
            dtype = torch.promote_types(dtype, torch.float32)
            placed = enumerate(placements(self.spread, torch.empty((), device=device, dtype=dtype)))
            made = {f"placement_{axis}": weights for axis, weights in placed}
        else:
            tent = torch.tensor(self._samples, dtype=torch.float64, device="cpu")
            made = {"fixed_tent": tent.flatten(-dims)}
            tent = tent / self.forward_gain
            if "scaled_tent" in names:
                made["scaled_tent"] = tent.flatten(-dims)
            if "expansion" in names:
                made["expansion"] = place(tent, self.spread).flatten(-dims)
            if "dense_tent" in names:
                same = torch.eye(self._channels, dtype=torch.float64, device="cpu")
                made["dense_tent"] = same[..., None] * tent.flatten()
        return {name: made[name].to(device=device, dtype=dtype) for name in names}

    def for_call(
        self,
        own: dict[str, Tensor],
        names: Collection[str],
        device: torch.device,
        dtype: torch.dtype,
    ) -> dict[str, Tensor]:
        """Return constants by name: a layer's own where they are complete and precise enough.

        Otherwise return new ones for this call alone: tensors made inside a transform must not
        outlive it.
        """
        fit = len(own) == len(names)
        alike = True
        for value in own.values():
            if value.dtype != dtype:
                alike = False
                fit = fit and torch.promote_types(value.dtype, dtype) == value.dtype
            fit = fit and value.device == device
        if not fit:
            return self.make(names, device, dtype)
        # A call of `to` takes longer than all else here, even where it has nothing to do.
        return own if alike else {name: value.to(dtype) for name, value in own.items()}

    def filters(self, constants: dict[str, Tensor]) -> Filters:
        """Return a fixed tent's constants in the forms that the algorithms take."""
        spread = self.spread
        tent = constants.get("scaled_tent", constants["fixed_tent"])
        placed, dense = constants.get("expansion"), constants.get("dense_tent")
        return Filters(
            spread,
            tent.view(*tent.shape[:-1], *spread.tent_shape),
            self.separable,
            constant=True,
            gain=self.forward_gain,
            lines=self._lines,
            dense=None if dense is None else dense.view(*dense.shape[:-1], *spread.tent_shape),
            placed=None
            if placed is None
            else placed.view(*placed.shape[:-1], *spread.effective_size),
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
