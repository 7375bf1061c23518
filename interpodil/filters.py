"""The filters an interpodilated convolution is computed from, and the constants behind them."""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from interpodil.expansion import gain_of, place, placements
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


@dataclass(frozen=True)
class Filters:
    r"""A tent, and what follows from it for the algorithms.

    Attributes:
        spread: the taps' spread.
        tent: the tent, :math:`(2 d_0 - 1, \ldots)`, with a leading axis where every channel has
            its own.
        separable: whether the tent is known to be the product of its axes' lines.
        placed: the tent as placed at every tap, where it is at hand already.
        axis_weights: the spread's placements, where they are at hand already.
    """

    spread: Spread
    tent: Tensor
    separable: bool
    placed: Tensor | None = None
    axis_weights: tuple[Tensor, ...] | None = None

    @property
    def per_channel(self) -> bool:
        return self.tent.dim() > self.spread.dims

    def expansion(self, like: Tensor) -> Tensor:
        """The tent as placed, :math:`(k_0 k_1, S_0, S_1)`, rounded once to a tensor's dtype."""
        if self.placed is not None:
            return self.placed
        exact = self.tent.to(torch.promote_types(self.tent.dtype, torch.float32))
        placed = place(exact, self.spread, self.axis_weights)
        return placed.to(device=like.device, dtype=like.dtype)

    def lines(self) -> list[Tensor]:
        """The lines a separable tent is the product of, one per axis."""
        return [axis_line(self.tent, axis) for axis in range(self.spread.dims)]

    def first_axis(self, like: Tensor) -> tuple[Tensor, Tensor]:
        r"""Split :meth:`expansion` of a separable tent into its first axis and the others.

        Shape:
            - Output: :math:`(k_0, S_0)` and :math:`(k_1 \cdots, S_1, \ldots)`
        """
        spread = self.spread
        placed = self.expansion(like).unflatten(0, spread.kernel_size)
        dims = spread.dims
        taps = range(1, dims)
        # Where a tap sits its tent is 1, so the other axes' part of that entry drops out.
        first = placed
        for axis in reversed(taps):
            first = first.select(dims + axis, self._pixel_of_first_tap(axis))
        for axis in reversed(taps):
            first = first.select(axis, 0)
        others = placed.select(dims, self._pixel_of_first_tap(0)).select(0, 0)
        return first, others.flatten(0, dims - 2) if taps else others[None]

    def _pixel_of_first_tap(self, axis: int) -> int:
        spread = self.spread
        window = canonical_window(spread.kernel_size[axis], spread.dilation[axis])
        return (spread.effective_size[axis] - window) // 2


class Constants:
    """The exact numbers behind a layer's constants, and the only maker of tensors of them.

    The numbers are Python's, which have no device and no dtype: whatever becomes of the tensors
    that a layer holds, the right ones can be made.

    Args:
        spread: the taps' spread.
        tent: the initial tent, in double precision on the CPU.
        separable: whether this tent is the product of its axes' lines.
        learned: whether the tent is learned, and whether one for the layer or one per channel.
        channels: channels of the input.

    Raises:
        ValueError: if a learned tent cannot start as this one.
    """

    def __init__(
        self,
        spread: Spread,
        tent: Tensor,
        separable: bool,
        learned: Literal[False] | LearnTent,
        channels: int,
    ) -> None:
        self.spread = spread
        self.separable = separable and not learned
        self.gain = gain_of(place(tent, spread), spread.dims)
        self._samples = tent.tolist()
        self._raw = None
        if learned:
            self._raw = raw_from_tent(tent, spread.dims, channels, learned).tolist()

    def names(self, algorithm: str) -> list[str]:
        """Names of the constants that a layer should hold to be computed by an algorithm.

        Tents as placed at every tap are small on one axis; otherwise only some layers need them.
        """
        dims = self.spread.dims
        places = not self.spread.uniform or algorithm == "expanded" or dims == 1
        if self._raw is not None:
            return [f"placement_{axis}" for axis in range(dims)] if places else []
        return ["fixed_tent", "expansion"] if places else ["fixed_tent"]

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
            if "expansion" in names:
                made["expansion"] = place(tent, self.spread).flatten(-dims)
        return {name: made[name].to(device=device, dtype=dtype) for name in names}

    def for_call(
        self,
        own: dict[str, Tensor],
        names: Collection[str],
        device: torch.device,
        dtype: torch.dtype,
    ) -> dict[str, Tensor]:
        """Return constants by name: a layer's own where they are there and as exact as the dtype.

        Else others, made for this call alone: what is made inside a transform must not outlive it.
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

    def raw_tent(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Return the initial values of a learned tent's parameter."""
        assert self._raw is not None
        return torch.tensor(self._raw, device=device, dtype=dtype)


def check_learn_tent(learn: bool | LearnTent, spread: Spread) -> Literal[False] | LearnTent:
    """Return what is learned: no tent, one for the layer or one per channel.

    Raises:
        ValueError: if ``learn`` says neither, or there is no tent to learn.
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
    channels: int,
) -> Constants:
    """Return the constants that a layer's arguments ask for.

    Raises:
        ValueError: if the arguments give no tent, one whose centre is not 1, or none that can be
            learned.
    """
    for name, value in (("edge", edge), ("corner", corner)):
        if isinstance(value, Tensor):
            raise ValueError(f"{name} must be a number, got a tensor; a tent may be a tensor")
    if isinstance(tent, Tensor) and tent.requires_grad:
        raise ValueError("tent must not require a gradient, pass learn_tent to learn it")
    # Numbers that are read now, even where tensors stand for tensors to come.
    with _disable_current_modes():
        surface = make_tent(spread.dilation, edge, corner, tent, channels)
        surface = surface.detach().to(device="cpu", dtype=torch.float64)
        check_tent(surface, spread.dims)
        if isinstance(tent, Tensor):
            separable = is_separable(surface, spread.dims)
        else:
            separable = tent is not None or spread.dims == 1 or are_separable(edge, corner)
        return Constants(spread, surface, separable, learned, channels)
