"""A chart as data; :mod:`svg` and :mod:`plotly` draw it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

#: The palette of Okabe and Ito, apart for the color-blind: https://jfly.uni-koeln.de/color/. An
#: HTML report has a variable of each name.
PALETTE = {
    "blue": "#0072b2",
    "vermillion": "#d55e00",
    "green": "#009e73",
    "orange": "#e69f00",
    "purple": "#cc79a7",
    "sky": "#56b4e9",
    "gray": "#7f858c",
}
BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, GRAY = PALETTE.values()
#: For several of a kind, with a line style and a shape each: color alone tells nothing in print.
COLORS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
Dash = Literal["solid", "dashed", "dotted", "dashdot"]
DASHES: tuple[Dash, ...] = ("solid", "dashed", "dotted", "dashdot")
Shape = Literal["circle", "triangle", "diamond", "star", "square", "cross"]


@dataclass(frozen=True)
class Line:
    """A line, with a band around it where ``low`` and ``high`` are given.

    Attributes:
        name: in the legend; an empty one is left out.
        steps: whether y keeps its value until the next x.
    """

    x: Sequence[float]
    y: Sequence[float]
    name: str = ""
    color: str = BLUE
    dash: Dash = "solid"
    width: float = 1.4
    steps: bool = False
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


@dataclass(frozen=True)
class Points:
    """Points; ``labels`` says what each one is, where a reader can point at it."""

    x: Sequence[float]
    y: Sequence[float]
    name: str = ""
    color: str = BLUE
    shape: Shape = "circle"
    filled: bool = True
    size: float = 4
    labels: Sequence[str] = ()


@dataclass(frozen=True)
class Bars:
    """Horizontal bars, the first on top."""

    names: Sequence[str]
    values: Sequence[float]
    color: str = BLUE


@dataclass(frozen=True)
class Intervals:
    """Values with their intervals, horizontal, the first on top; each in its color and shape.

    ``margin`` is shaded on both sides of 0.
    """

    names: Sequence[str]
    values: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    colors: Sequence[str]
    shapes: Sequence[Shape]
    margin: float


@dataclass(frozen=True)
class Grid:
    """Squares, the darker the larger their value, 0 to 1; rows from the top."""

    rows: Sequence[Sequence[float]]
    color: str = BLUE


Mark = Line | Points | Bars | Intervals | Grid


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        key: its id, unique in a report: letters, digits and ``-``.
        alt: what it shows, for those who do not see it.
        caption: what a reader has to know of it.
        log_x: whether x is logarithmic.
        x_ticks: the marked places of x and what is written there; ``None`` for numbers.
        x_range, y_range: what is shown of them; ``None`` for all.
    """

    key: str
    title: str
    alt: str
    marks: Sequence[Mark]
    x_title: str = ""
    y_title: str = ""
    caption: str = ""
    log_x: bool = False
    x_ticks: Mapping[float, str] | None = None
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None


def shown(text: str, longest: int = 36) -> str:
    """Return a name for a chart: on one line, not too long, with nothing that is not printed."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
