"""The effective kernels of one 3x3 base kernel."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from docs.figures.card import DIVERGING, INK, QUIET, WIDTH, Card
from interpodil import canonical_window, effective_kernel

WEIGHTS = [[-0.4, 0.2, 0.8], [-0.6, 1.0, 0.6], [-1.0, -0.4, 0.4]]


@dataclass
class Example:
    """An effective kernel to be shown, ``None`` for the base kernel itself."""

    title: str
    note: str
    options: dict[str, Any] | None = field(default_factory=dict)

    @property
    def kernel(self) -> Tensor:
        weight = torch.tensor(WEIGHTS, dtype=torch.float64)
        if self.options is None:
            return weight
        return effective_kernel(weight[None, None], **self.options)[0, 0]

    @property
    def taps(self) -> list[int]:
        """Rows, and as well columns, in which the base weights lie."""
        dilation = 1 if self.options is None else self.options.get("dilation", 2)
        margin = (len(self.kernel) - canonical_window(len(WEIGHTS), dilation)) // 2
        return [margin + dilation * tap for tap in range(len(WEIGHTS))]


STEPS = [
    Example("Base kernel", "3x3", None),
    Example("Filled in", "5x5, dilation 2", {"growth": 5}),
    Example("Filled in and faded out", "7x7, dilation 2, fade 1"),
]

GALLERY = [
    [
        Example("Base kernel", "3x3", None),
        Example(
            "Plain dilated, 5x5", "edge=0, corner=0, fade=0", {"edge": 0, "corner": 0, "fade": 0}
        ),
        Example("Linear, 5x5", "growth=5", {"growth": 5}),
        Example("Linear, 7x7", "the defaults"),
    ],
    [
        Example("Sharper, 7x7", "edge=0.3, corner=0.09", {"edge": 0.3, "corner": 0.09}),
        Example("Long fade, 11x11", "fade=3", {"fade": 3}),
        Example("Linear, 11x11", "dilation=3", {"dilation": 3}),
        Example(
            "Gaussian, 11x11", 'dilation=3, tent="gaussian"', {"dilation": 3, "tent": "gaussian"}
        ),
    ],
]


def draw_effective_kernel() -> Card:
    """Draw the base kernel, its 5x5 and its 7x7 effective kernel with their values."""
    cell, gap, middle = 42, 70, 238
    card = Card(448)
    left = (WIDTH - sum(len(step.kernel) for step in STEPS) * cell - 2 * gap) / 2
    start = left
    for index, step in enumerate(STEPS):
        if index:
            _draw_arrow(card, left + 16, left + gap - 16, middle)
            left += gap
        extent = len(step.kernel) * cell
        card.heading(left + extent / 2, 34, step.title, step.note)
        _draw_cells(card, left, middle - extent / 2, cell, step, values=True)
        left += extent
    _draw_key(card, start, 408)
    return card


def draw_effective_kernels() -> Card:
    """Draw a gallery of effective kernels of the same base kernel."""
    cell, left, tops = 18, 34, (82, 302)
    columns = [max(len(row[i].kernel) for row in GALLERY) for i in range(len(GALLERY[0]))]
    card = Card(574)
    spare = WIDTH - 2 * left - sum(columns) * cell
    gap = spare / (len(columns) - 1)
    for row, top in zip(GALLERY, tops, strict=True):
        x: float = left
        height = max(len(example.kernel) for example in row) * cell
        for columns_wide, example in zip(columns, row, strict=True):
            center, extent = x + columns_wide * cell / 2, len(example.kernel) * cell
            card.heading(center, top - 48, example.title, example.note)
            _draw_cells(card, center - extent / 2, top + (height - extent) / 2, cell, example)
            x += columns_wide * cell + gap
    _draw_key(card, left, 532)
    return card


def _draw_cells(
    card: Card, left: float, top: float, cell: float, example: Example, *, values: bool = False
) -> None:
    inset, line, radius = (1, 2, 4) if values else (0.5, 1.5, 2.5)
    taps = example.taps
    for row, numbers in enumerate(example.kernel.tolist()):
        for column, value in enumerate(numbers):
            x, y = left + column * cell, top + row * cell
            box = (x + inset, y + inset, cell - 2 * inset, cell - 2 * inset)
            card.box(*box, DIVERGING((value + 1) / 2), radius=radius)
            if row in taps and column in taps:
                card.outline(*box, line, radius)
            if values:
                ink = "#ffffff" if abs(value) > 0.72 else INK
                card.text(x + cell / 2, y + cell / 2, f"{value:.2f}", 13, ink)


def _draw_arrow(card: Card, left: float, right: float, y: float) -> None:
    card.canvas.annotate(
        "",
        (right, y),
        (left, y),
        arrowprops={"arrowstyle": "-|>", "color": QUIET, "linewidth": 1.2, "shrinkA": 0},
    )


def _draw_key(card: Card, left: float, y: float) -> None:
    length, height = 180, 11
    extent = (left, left + length, y + height, y)
    ramp = torch.linspace(-1, 1, 256)[None].numpy()
    card.canvas.imshow(ramp, cmap=DIVERGING, extent=extent, aspect="auto", zorder=2)
    for value in (-1, 0, 1):
        card.text(left + (value + 1) * length / 2, y + height + 12, str(value), 12, QUIET)
    card.outline(left + 246, y - 2, 16, 16, 2, 4)
    note = "the nine learnt weights; interpolation gives all the others"
    card.text(left + 272, y + 6, note, 14, QUIET, align="left")
