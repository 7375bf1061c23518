"""What the pictures have in common: an opaque card to be read on light and dark pages alike."""

import io
import tempfile
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.patches import FancyBboxPatch
from PIL import ImageFont

# Lengths are pixels of a page that shows a picture at this width; the file has twice as many.
WIDTH = 900
DENSITY = 2
INCH = 100

BACKGROUND, FRAME, GRID = "#fbfbfa", "#d9d9d6", "#e6e6e3"
INK, QUIET = "#1f2328", "#656d76"
# Apart in lightness too, for readers who see few hues.
BLUE, RED, OCHRE, PURPLE = "#2860a6", "#be3e26", "#b57f00", "#6f4a8e"

DIVERGING = LinearSegmentedColormap.from_list("diverging", [BLUE, "#eeeeeb", RED])
SEQUENTIAL = LinearSegmentedColormap.from_list(
    "sequential", ["#f4f4f1", "#a9c3de", "#4a7fbb", "#163a6b"]
)


def _font() -> str:
    """Make matplotlib know the font that comes with Pillow, and return its name."""
    font = ImageFont.load_default(12)
    assert isinstance(font, ImageFont.FreeTypeFont)
    assert isinstance(font.path, io.BytesIO)
    path = Path(_folder.name) / "font.otf"
    path.write_bytes(font.path.getvalue())
    fontManager.addfont(path)
    return font.getname()[0] or ""


# Lives as long as the process, since matplotlib opens fonts when it draws.
_folder = tempfile.TemporaryDirectory()

STYLE = {
    # The second one has the Greek letters.
    "font.family": [_font(), "DejaVu Sans"],
    "axes.unicode_minus": False,
    "axes.facecolor": "none",
    "axes.edgecolor": FRAME,
    "axes.labelcolor": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": FRAME,
    "ytick.color": FRAME,
    "xtick.labelcolor": QUIET,
    "ytick.labelcolor": QUIET,
    "lines.solid_capstyle": "round",
}


def points(pixels: float) -> float:
    """Pixels as points, in which matplotlib measures text and lines."""
    return pixels * 72 / INCH


class Card:
    """A card with rounded corners and panels on it.

    Attributes:
        canvas: axes in pixels over all of it, for text and shapes.
    """

    def __init__(self, height: float) -> None:
        self.height = height
        self.figure = Figure(figsize=(WIDTH / INCH, height / INCH), dpi=INCH * DENSITY)
        self.figure.patch.set_alpha(0)
        self.canvas = self.panel(0, 0, WIDTH, height)
        self.canvas.set(xlim=(0, WIDTH), ylim=(height, 0))
        self.canvas.axis("off")
        self.box(1, 1, WIDTH - 2, height - 2, BACKGROUND, FRAME, 1, 14)

    def panel(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = self.height - top - height
        with mpl.rc_context(STYLE):
            axes = self.figure.add_axes(
                (left / WIDTH, bottom / self.height, width / WIDTH, height / self.height)
            )
        axes.tick_params(labelsize=points(13), length=0, pad=5)
        return axes

    def box(
        self,
        left: float,
        top: float,
        width: float,
        height: float,
        fill: str | tuple[float, ...],
        outline: str = "none",
        line: float = 0,
        radius: float = 0,
    ) -> None:
        shape = FancyBboxPatch(
            (left, top),
            width,
            height,
            boxstyle=f"round,pad=0,rounding_size={radius}",
            facecolor=fill,
            edgecolor=outline,
            linewidth=points(line),
        )
        self.canvas.add_patch(shape)

    def outline(
        self, left: float, top: float, width: float, height: float, line: float, radius: float
    ) -> None:
        """Draw a line within a box's border, which neighboring boxes do not touch."""
        self.box(
            left + line / 2,
            top + line / 2,
            width - line,
            height - line,
            "none",
            INK,
            line,
            radius - line / 2,
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 13,
        color: str = INK,
        *,
        align: str = "center",
        axes: Axes | None = None,
        backdrop: bool = False,
    ) -> None:
        """Write at a point of the canvas, or of the axes given in their units."""
        box = {"facecolor": BACKGROUND, "edgecolor": "none", "pad": 1} if backdrop else None
        (axes or self.canvas).text(
            x,
            y,
            text,
            size=points(size),
            color=color,
            ha=align,
            va="center",
            family=STYLE["font.family"],
            bbox=box,
        )

    def heading(self, x: float, y: float, title: str, note: str, *, align: str = "center") -> None:
        self.text(x, y, title, 17, align=align)
        self.text(x, y + 22, note, 13, QUIET, align=align)


def save(card: Card, path: Path) -> None:
    """Write a picture whose bytes depend on nothing but what it shows."""
    with mpl.rc_context(STYLE):
        card.figure.savefig(path, metadata={"Software": None}, pil_kwargs={"optimize": True})
