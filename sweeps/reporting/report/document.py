"""What a report says, as a structure that every format is written from.

Text is plain: what comes from people, names above all, is escaped by the formats.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

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


@dataclass
class Section:
    """A part of a report: paragraphs and other blocks under a heading."""

    title: str
    blocks: list[Block] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """The heading's id in a page."""
        return self.title.lower().replace(" ", "-")


@dataclass
class Report:
    """A report.

    Attributes:
        kind: what it is about: ``study`` or ``comparison``.
        title: its name.
        description: what its spec says of it.
        answer: the finding in one sentence.
        caveats: what has to be known to read that rightly.
        figures: the numbers that matter most, by what they are.
        sections: the rest, in reading order.
        made: when and with what the report was made.
    """

    kind: str
    title: str
    description: str
    answer: str
    caveats: list[str]
    figures: dict[str, str]
    sections: list[Section]
    made: str

    def charts(self) -> list[Chart]:
        """Return all charts, in reading order."""
        blocks = (block for section in self.sections for block in section.blocks)
        return [chart for block in blocks if isinstance(block, Charts) for chart in block.charts]
