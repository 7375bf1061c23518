"""How arms are drawn: each with the same color, line and shape in all charts of a comparison."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sweeps.reporting.report.chart import (
    COLORS,
    DASHES,
    GRAY,
    Chart,
    Dash,
    Line,
    Mark,
    Shape,
)
from sweeps.study.comparison import Comparison, Pair

#: More lines than so many are not told apart: there are several charts instead, each with the
#: reference.
_MOST_LINES = 5
#: A circle is the reference, a star what was chosen. As many as dashes, and fewer than colors, so
#: that twelve arms look different.
_ARM_SHAPES: tuple[Shape, ...] = ("square", "triangle", "diamond", "cross")


@dataclass(frozen=True)
class Look:
    """How an arm, or a pair of arms, is drawn."""

    color: str
    dash: Dash
    shape: Shape


def arm_looks(comparison: Comparison) -> dict[str, Look]:
    """Return how each arm is drawn: the reference gray and solid."""
    others = [name for name in comparison.arms if name != comparison.spec.reference]
    found = {name: _look(index) for index, name in enumerate(others)}
    if comparison.spec.reference is not None:
        found[comparison.spec.reference] = Look(GRAY, "solid", "circle")
    return found


def pair_looks(comparison: Comparison) -> dict[str, Look]:
    """Return how each pair is drawn, by its name: as its arm, where all have the same other one."""
    arms = arm_looks(comparison)
    return {
        pair_name(comparison, pair): arms[pair.arm] if comparison.spec.reference else _look(index)
        for index, pair in enumerate(comparison.pairs)
    }


def _look(index: int) -> Look:
    dash = DASHES[(index + 1) % len(DASHES)]
    return Look(COLORS[index % len(COLORS)], dash, _ARM_SHAPES[index % len(_ARM_SHAPES)])


def pair_name(comparison: Comparison, pair: Pair) -> str:
    """Name a pair: as its arm, where all have the same other one."""
    return pair.arm if comparison.spec.reference else f"{pair.arm} - {pair.other}"


def signed(value: float) -> str:
    """Write a difference: ``+0.0123``."""
    return f"{value:+.4f}"


def zero_line(start: float, end: float) -> Line:
    """Draw where nothing is ahead."""
    return Line([start, end], [0, 0], color=GRAY, width=0.8)


def split_charts(
    comparison: Comparison,
    names: Iterable[str],
    draw: Callable[[str], Sequence[Mark]],
    *,
    base: Sequence[Mark] = (),
    key: str,
    title: str,
    alt: str,
    caption: str = "",
    **settings: Any,
) -> list[Chart]:
    """Draw arms, or pairs, in as many charts as it takes to tell them apart.

    Args:
        comparison: the comparison; its reference is in each chart.
        names: those that have something to be drawn.
        draw: draws one of them.
        base: what is drawn below them.
        key, title, alt: of the charts; each gets its number, and the names of what is drawn.
        caption: of the first one.
        settings: others of :class:`Chart`.
    """
    names = [*names]
    always = [name for name in names if name == comparison.spec.reference]
    others = [name for name in names if name not in always]
    most = _MOST_LINES - len(always)
    starts = range(0, max(len(others), len(always)), most)
    parts = [[*always, *others[start : start + most]] for start in starts]
    return [
        Chart(
            key=f"{key}-{number}",
            title=title if len(parts) == 1 else f"{title}, {number} of {len(parts)}",
            alt=f"{alt} {', '.join(part)}.",
            marks=[*base, *(mark for name in part for mark in draw(name))],
            caption=caption if number == 1 else "",
            **settings,
        )
        for number, part in enumerate(parts, start=1)
    ]
