"""The filters an interpodilated convolution is computed from."""

from dataclasses import dataclass

import torch
from torch import Tensor

from interpodil.expansion import place
from interpodil.spread import Spread, canonical_window
from interpodil.tents import axis_line


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
