"""What a report says, as a structure that every format is written from.

Text is plain: what comes from people, names above all, is escaped by the formats.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version

from sweeps.reporting.report.chart import Chart


@dataclass(frozen=True)
class Table:
    """A table; ``numeric`` counts the columns, from the right, that are set flush right."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: int = 0
    caption: str = ""


@dataclass(frozen=True)
class Code:
    """Text to be copied: commands or YAML."""

    text: str
    language: str


@dataclass(frozen=True)
class Warning:
    """Something that a reader should not overlook."""

    text: str


@dataclass(frozen=True)
class Charts:
    """Charts side by side, as many as there is room for."""

    charts: Sequence[Chart]


Block = str | Table | Code | Warning | Charts


def side_by_side(charts: Iterable[Chart | None]) -> list[Block]:
    """Put those charts that there are side by side; no block without any."""
    drawn = [chart for chart in charts if chart is not None]
    return [Charts(drawn)] if drawn else []


def text_columns(header: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> Table:
    """Make a table of words, without the last column where no row has anything in it."""
    width = len(header) if any(row[-1] for row in rows) else len(header) - 1
    return Table(header[:width], [row[:width] for row in rows], caption=caption)


def _made() -> str:
    now = datetime.now().astimezone()
    return f"Made by sweeps report {version('interpodil')} on {now:%Y-%m-%d at %H:%M %Z}."


@dataclass(frozen=True)
class Report:
    """A report.

    Attributes:
        kind: what it is about: ``study`` or ``comparison``.
        title: its name.
        description: what its spec says of it.
        answer: the finding in one sentence.
        caveats: what has to be known to read that rightly.
        figures: the numbers that matter most, by what they are.
        contents: the rest by its headings, in reading order; those without blocks are left out.
        made: when and with what the report was made.
    """

    kind: str
    title: str
    description: str
    answer: str
    caveats: Sequence[str]
    figures: Mapping[str, str]
    contents: Mapping[str, Sequence[Block]]
    made: str = field(default_factory=_made)

    def charts(self) -> list[Chart]:
        """Return all charts, in reading order."""
        blocks = (block for blocks in self.contents.values() for block in blocks)
        return [chart for block in blocks if isinstance(block, Charts) for chart in block.charts]
