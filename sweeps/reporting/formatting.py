"""Tables, durations and counts, the same everywhere."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeps.numbers import written
from sweeps.study.progress import Progress


def make_table(**settings: Any) -> Table:
    """Make a table with a line under its head, and no frame."""
    defaults: dict[str, Any] = {"box": box.SIMPLE_HEAD, "pad_edge": False}
    return Table(**(defaults | settings))


def print_table(console: Console, table: Table) -> None:
    """Print a table; in a file or pipe without trailing spaces."""
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        print_line(console, line.rstrip())


def print_rows(
    console: Console,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    words: Collection[str],
) -> None:
    """Print a table of texts, flush right but for the columns of ``words``.

    Nothing is cut: what does not fit goes on in the next line.
    """
    table = make_table()
    for name in header:
        table.add_column(name, justify="left" if name in words else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    print_table(console, table)


def print_line(console: Console, text: str) -> None:
    """Print text as it is; only a terminal breaks long lines, between words."""
    console.print(text, markup=False, highlight=False, soft_wrap=not console.is_terminal)


def print_notes(console: Console, notes: Iterable[str]) -> None:
    """Print lines that go with what stands above; only a terminal breaks long ones."""
    for note in notes:
        console.print(Text(note, style="dim"), soft_wrap=not console.is_terminal)


def clock(seconds: float) -> str:
    """Format a duration as ``3:07`` or ``1:02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def brief(value: object) -> str:
    """Write a setting's value: four digits of a number."""
    return written(value) if isinstance(value, float) else str(value)


def with_direction(metric: str, direction: str) -> str:
    """Name a metric and say which of its values are better."""
    return f"{metric} ({'higher' if direction == 'maximize' else 'lower'} is better)"


def best_words(progress: Progress) -> str:
    """Name the best trial so far, as ``best 0.5120 in trial 7``."""
    if progress.best is None:
        return "no trial complete yet"
    return f"best {progress.best.values[0]:.4f} in trial {progress.best.number}"


def count_trials(progress: Progress) -> str:
    """Count the finished trials, as ``3/24 trials``."""
    total = "" if progress.target is None else f"/{progress.target}"
    return f"{progress.finished}{total} trials"
