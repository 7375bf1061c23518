"""What a conversion did, and what there is to complain about."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from interpodil.conversion.convertible import InterpodilConv
from interpodil.conversion.where import Predicate

NOT_CHOSEN = "not chosen"


@dataclass(frozen=True, eq=False)
class Change:
    """A layer that was swapped: its first name in the model, what was there and what is."""

    name: str
    before: nn.Module
    after: InterpodilConv


@dataclass(frozen=True)
class Skip:
    """A convolution that stayed: its first name in the model, and why."""

    name: str
    reason: str


@dataclass(frozen=True, eq=False)
class Conversion:
    """What :func:`interpodil.convert` did; as a string, a report of a few lines.

    Attributes:
        model: the model; a new layer if the model itself was a plain convolution.
        changed: the layers that were swapped.
        skipped: the convolutions that were not.
        without_optimizer: names of layers whose learned tents the optimiser was not given, as it
            does not hold their weights.
    """

    model: nn.Module
    changed: tuple[Change, ...]
    skipped: tuple[Skip, ...]
    without_optimizer: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        total = len(self.changed) + len(self.skipped)
        sizes = [
            (f"from {_size(c.after.kernel_size)} to {_size(c.after.effective_size)}", c.name)
            for c in self.changed
        ]
        reasons = [(f"left, {skip.reason}", skip.name) for skip in self.skipped]
        tents = [("learned tents not in the optimizer", name) for name in self.without_optimizer]
        lines = [
            f"{len(self.changed)} of {total} convolutions interpodilated",
            *_by_title([*sizes, *reasons, *tents]),
        ]
        return "\n  ".join(lines)


def complaints(
    conversion: Conversion, where: tuple[str, ...] | Predicate, names: Sequence[str]
) -> list[str]:
    """Return what of a conversion was probably not meant, each in one line.

    Args:
        conversion: what was done.
        where: the patterns or the predicate by which convolutions were chosen.
        names: all names of the model's convolutions.
    """
    patterns = () if callable(where) else where
    useless = [p for p in patterns if not any(fnmatchcase(name, p) for name in names)]
    found = []
    if not names:
        found.append("nothing was converted: the model has no convolution")
    elif useless:
        title = "where is of no use in part" if conversion.changed else "nothing was converted"
        found.append(f"{title}: no name such as {_some(names)} matches {' or '.join(useless)}")
    elif not conversion.changed:
        reasons = _by_title((skip.reason, skip.name) for skip in conversion.skipped)
        found.append(f"nothing was converted: {'; '.join(reasons)}")
    if conversion.without_optimizer:
        layers = _some(conversion.without_optimizer)
        found.append(f"the optimizer holds no weight of {layers}, so their tents are not learned")
    return found


def _by_title(titled: Iterable[tuple[str, str]]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for title, name in titled:
        groups.setdefault(title, []).append(name)
    return [f"{title}: {_some(names)}" for title, names in groups.items()]


def _size(size: Sequence[int]) -> str:
    return "x".join(map(str, size))


def _some(names: Sequence[str], most: int = 4) -> str:
    rest = len(names) - most
    shown = ", ".join(name or "the model itself" for name in names[:most])
    return f"{shown} and {rest} more" if rest > 0 else shown
