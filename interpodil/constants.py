"""The constants a layer is computed with, beside its parameters."""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from interpodil.expansion import place, placements
from interpodil.gain import gain_of
from interpodil.learned_tent import raw_from_tent
from interpodil.spread import Spread

LearnTent = Literal["layer", "channel"]


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

    def raw_tent(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Return the initial values of a learned tent's parameter."""
        assert self._raw is not None
        return torch.tensor(self._raw, device=device, dtype=dtype)
