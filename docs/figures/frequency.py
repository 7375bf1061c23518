"""What the tent and the effective kernel do to the frequencies of their input."""

import math

import torch
from matplotlib.axes import Axes
from torch import Tensor

from docs.figures.card import BLUE, FRAME, INK, OCHRE, QUIET, RED, SEQUENTIAL, Card, points
from interpodil import effective_kernel, tent

EDGES = (0.0, 0.25, 0.4, 0.5, 0.6)
COEFFICIENTS = ((0.0, 0.0), (0.3, 0.09), (0.5, 0.0), (0.5, 0.25))
BASE = (1.0, 2.0, 1.0)
# From 0 to pi; the spectrum has twice as many.
STEPS = 256


def response(kernel: Tensor, steps: int = STEPS) -> Tensor:
    """Return the magnitude of a kernel's response, divided by that at frequency 0.

    Shape:
        - kernel: one axis or two
        - Output: ``steps + 1`` frequencies from 0 to pi per axis
    """
    axes = tuple(range(kernel.dim()))
    spectrum = torch.fft.fftn(kernel, s=[2 * steps] * kernel.dim(), dim=axes).abs()
    for axis in axes:
        spectrum = spectrum.narrow(axis, 0, steps + 1)
    return spectrum / spectrum.flatten()[0]


def frequencies(steps: int = STEPS) -> Tensor:
    return torch.linspace(0, math.pi, steps + 1, dtype=torch.float64)


def line_response(edge: float) -> Tensor:
    """Return the response of the tent for a dilation of 2 along one axis."""
    return response(tent((2,), edge))


def plane_response(edge: float, corner: float) -> Tensor:
    """Return the response of the tent for a dilation of 2."""
    return response(tent((2, 2), edge, corner))


def kernel_response(*, edge: float = 0.5, growth: int | None = None) -> Tensor:
    """Return the response of the effective kernel of the base weights, along one axis."""
    weight = torch.tensor([[BASE]], dtype=torch.float64)
    return response(effective_kernel(weight, 2, edge=edge, growth=growth)[0, 0])


def draw_frequency_response() -> Card:
    card = Card(688)
    _draw_tents(card)
    _draw_kernels(card)
    _draw_maps(card)
    return card


def _draw_tents(card: Card) -> None:
    note = "(1 + 2e cos ω) / (1 + 2e), as a magnitude"
    card.heading(34, 34, "The tent along one axis", note, align="left")
    axes = _line_panel(card, 56)
    colors = ("#7d868f", "#5189c9", BLUE, RED, "#10294d")
    for edge, color in zip(EDGES, colors, strict=True):
        values = line_response(edge)
        linear = edge == 0.5
        axes.plot(frequencies(), values, color=color, linewidth=points(2.8 if linear else 2))
        # The last one ends among the others and is named before its zero.
        x, y, align = (1.93, 0.13, "right") if edge > 0.5 else (3.24, float(values[-1]), "left")
        name = f"e = {edge:g}" if edge in (EDGES[0], EDGES[-1]) else f"{edge:g}"
        name += ", linear" if linear else ""
        card.text(x, y, name, 13, color, align=align, axes=axes, backdrop=True)


def _draw_kernels(card: Card) -> None:
    base = ", ".join(f"{value:g}" for value in BASE)
    note = f"taps {base}, two pixels apart"
    card.heading(480, 34, "The effective kernel along one axis", note, align="left")
    axes = _line_panel(card, 502)
    dilated = kernel_response(edge=0)
    axes.fill_between(frequencies(), dilated, color="#ebebe8", linewidth=0)
    axes.plot(frequencies(), dilated, color="#7d868f", linewidth=points(1.6))
    for row, words in enumerate(("plain dilated:", "at π the same", "again as at 0")):
        card.text(1.64, 0.86 - 0.085 * row, words, 13, QUIET, align="left", axes=axes)
    for growth, color in ((5, OCHRE), (7, BLUE)):
        values = kernel_response(growth=growth)
        axes.plot(frequencies(), values, color=color, linewidth=points(2.2))
        name = f"{growth} pixels"
        card.text(3.24, float(values[-1]), name, 13, color, align="left", axes=axes)


def _line_panel(card: Card, left: float) -> Axes:
    axes = card.panel(left, 88, 318, 216)
    axes.set(xlim=(0, math.pi), ylim=(0, 1.06))
    axes.set_xticks([0, math.pi / 2, math.pi], ["0", "π/2", "π"])
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.grid()
    card.text(left + 159, 340, "frequency ω, in radians a pixel", 13, QUIET)
    return axes


def _draw_maps(card: Card) -> None:
    note = (
        "from 0 to π along both axes, with the values at 0 and where a dilated kernel's copies lie"
    )
    card.heading(34, 394, "The tent in two dimensions", note, align="left")
    size, top = 180, 470
    for index, (edge, corner) in enumerate(COEFFICIENTS):
        left = 56 + index * 206
        axes = card.panel(left, top, size, size)
        values = plane_response(edge, corner)
        axes.imshow(
            values.numpy(),
            cmap=SEQUENTIAL,
            vmin=0,
            vmax=1,
            origin="lower",
            extent=(0, math.pi, 0, math.pi),
            interpolation="nearest",
        )
        axes.spines[:].set(visible=True, color=FRAME)
        axes.set_xticks([0, math.pi], ["0", "π"])
        axes.set_yticks([0, math.pi], ["0", "π"] if index == 0 else ["", ""])
        card.text(left + size / 2, top - 16, f"e = {edge:g}, c = {corner:g}", 14)
        for x, y in ((0, 0), (0, 1), (1, 0), (1, 1)):
            value = round(float(values[y * STEPS, x * STEPS]), 2)
            place = (0.12 + x * (math.pi - 0.24), 0.2 + y * (math.pi - 0.4))
            align = "right" if x else "left"
            ink = "#ffffff" if value > 0.5 else INK
            card.text(*place, f"{value:g}", 13, ink, align=align, axes=axes)
