"""Draws docs/images/effective-kernel.png: a 3x3 base kernel and its 5x5 and 7x7 effective kernels.

Run it as `python docs/draw_effective_kernels.py [FILE]`.
"""

import sys
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from interpodil import effective_kernel

WEIGHTS = [[-0.4, 0.2, 0.8], [-0.6, 1.0, 0.6], [-1.0, -0.4, 0.4]]
TARGET = Path(__file__).parent / "images" / "effective-kernel.png"

# Drawn larger and scaled down, which smooths the edges.
SCALE = 3
WIDTH, HEIGHT, RADIUS = 1200, 596, 18
CELL, INSET, ARROW_GAP = 56, 3, 92
MIDDLE = 316
BACKGROUND, FRAME = "#fbfbfa", "#d9d9d6"
INK, QUIET = "#1f2328", "#656d76"
NEGATIVE, ZERO, POSITIVE = (40, 96, 166), (238, 238, 235), (190, 62, 38)

Colour = tuple[int, int, int]


class Canvas:
    """A card with rounded corners, in final pixels."""

    def __init__(self) -> None:
        self.image = Image.new("RGBA", (WIDTH * SCALE, HEIGHT * SCALE), (0, 0, 0, 0))
        self.draw = ImageDraw.Draw(self.image)
        self.box(1, 1, WIDTH - 1, HEIGHT - 1, BACKGROUND, FRAME, 1, RADIUS)

    def box(
        self,
        left: float,
        top: float,
        right: float,
        bottom: float,
        fill: str | Colour | None = None,
        outline: str | None = None,
        width: float = 0,
        radius: float = 0,
    ) -> None:
        self.draw.rounded_rectangle(
            [round(v * SCALE) for v in (left, top, right, bottom)],
            radius * SCALE,
            fill,
            outline,
            round(width * SCALE),
        )

    def text(
        self, x: float, y: float, text: str, size: float, fill: str = INK, anchor: str = "mm"
    ) -> None:
        font = ImageFont.load_default(size * SCALE)
        self.draw.text((x * SCALE, y * SCALE), text, fill, font, anchor)

    def arrow(self, left: float, right: float, y: float) -> None:
        tip = [(right, y), (right - 11, y - 6), (right - 11, y + 6)]
        self.draw.line(
            [left * SCALE, y * SCALE, (right - 8) * SCALE, y * SCALE], QUIET, round(2 * SCALE)
        )
        self.draw.polygon([(x * SCALE, y * SCALE) for x, y in tip], QUIET)

    def save(self, path: Path) -> None:
        final = self.image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
        final.save(path, optimize=True)


def colour(value: float) -> Colour:
    """Blue for -1 through grey for 0 to red for 1."""
    end = NEGATIVE if value < 0 else POSITIVE
    amount = min(1.0, abs(value))
    red, green, blue = (round(z + (e - z) * amount) for z, e in zip(ZERO, end, strict=True))
    return red, green, blue


def draw_kernel(canvas: Canvas, left: float, kernel: list[list[float]], taps: list[int]) -> None:
    size = len(kernel)
    top = MIDDLE - size * CELL / 2
    for row, line in enumerate(kernel):
        for column, value in enumerate(line):
            x, y = left + column * CELL, top + row * CELL
            is_tap = row in taps and column in taps
            canvas.box(
                x + INSET / 2,
                y + INSET / 2,
                x + CELL - INSET / 2,
                y + CELL - INSET / 2,
                colour(value),
                INK if is_tap else None,
                2.5 if is_tap else 0,
                5,
            )
            label = f"{value:.2f}"
            ink = "#ffffff" if abs(value) > 0.72 else INK
            canvas.text(x + CELL / 2, y + CELL / 2, label, 17 if is_tap else 16, ink)


def draw_legend(canvas: Canvas, y: float) -> None:
    length, height, left = 240, 14, 96
    for x in range(length):
        canvas.box(left + x, y, left + x + 1, y + height, colour(2 * x / (length - 1) - 1))
    for value in (-1, 0, 1):
        canvas.text(left + (value + 1) * length / 2, y + height + 15, str(value), 15, QUIET)
    canvas.box(left + 330, y - 3, left + 350, y + 17, None, INK, 2.5, 4)
    note = "the 9 learnt weights; interpolation gives all the others"
    canvas.text(left + 362, y + 7, note, 17, QUIET, "lm")


def main() -> None:
    weight = torch.tensor([[WEIGHTS]], dtype=torch.float64)
    panels = [
        (WEIGHTS, [0, 1, 2], "Base kernel", "3 x 3"),
        (
            effective_kernel(weight, growth=5)[0, 0].tolist(),
            [0, 2, 4],
            "Filled in",
            "5 x 5, dilation 2",
        ),
        (
            effective_kernel(weight)[0, 0].tolist(),
            [1, 3, 5],
            "Filled in and faded out",
            "7 x 7, dilation 2, fade 1",
        ),
    ]
    canvas = Canvas()
    total = sum(len(kernel) for kernel, *_ in panels) * CELL + 2 * ARROW_GAP
    left = (WIDTH - total) / 2
    for index, (kernel, taps, title, subtitle) in enumerate(panels):
        if index:
            canvas.arrow(left + 22, left + ARROW_GAP - 22, MIDDLE)
            left += ARROW_GAP
        extent = len(kernel) * CELL
        canvas.text(left + extent / 2, 46, title, 25)
        canvas.text(left + extent / 2, 80, subtitle, 18, QUIET)
        draw_kernel(canvas, left, kernel, taps)
        left += extent
    draw_legend(canvas, HEIGHT - 54)
    canvas.save(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)


if __name__ == "__main__":
    main()
