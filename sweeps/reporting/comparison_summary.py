"""What a comparison found, printed: by ``sweeps compare`` and ``status``."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeps.reporting import verdicts
from sweeps.reporting.formatting import (
    make_table,
    print_line,
    print_notes,
    print_table,
    with_direction,
)
from sweeps.study.comparison import Comparison

# So many letters of an arm's name stay on one line however narrow the terminal.
_FULL_NAME = 18
# So many columns say what an arm reached; the others what it costs.
_QUALITY = 3
# Of a table that is not squeezed, in letters.
_WIDEST = 10_000


def print_comparison(console: Console, comparison: Comparison, where: str) -> None:
    """Print the arms, what is declared of them, and what a reader has to know.

    The comparison may be under way. A person knows the storage as ``where``.
    """
    print_line(console, f"\nComparison {comparison.name} in {where}")
    measured = comparison.spec.measured
    goal = with_direction(measured.name, measured.direction)
    print_line(console, f"{goal}, {comparison.runs} confirming runs\n")
    rows = verdicts.arm_rows(comparison)
    _print_arms(console, rows, [name for name in rows[0] if name != "arm"])
    for pair in comparison.pairs:
        sentence = Text(verdicts.verdict_sentence(comparison, pair), style="bold")
        console.print(sentence, soft_wrap=not console.is_terminal)
    if comparison.equal_time:
        print_line(console, "\nAt equal time:")
        print_line(console, verdicts.equal_time_words(comparison))
        for pair in comparison.equal_time:
            print_line(console, verdicts.verdict_sentence(comparison, pair))
    print_line(console, "")
    print_notes(console, verdicts.caveats(comparison))


def _print_arms(console: Console, rows: list[dict[str, str]], names: Sequence[str]) -> None:
    """Print columns of the arms' table: in several tables where one would be too wide."""
    table = _arms_table(["arm", *names], rows)
    free = console.options.update(max_width=_WIDEST)
    if len(names) == 1 or console.measure(table, options=free).maximum <= console.width:
        print_table(console, table)
        return
    # First what arms reached, then what they cost.
    middle = _QUALITY if len(names) > 2 * _QUALITY else len(names) // 2
    _print_arms(console, rows, names[:middle])
    _print_arms(console, rows, names[middle:])


def _arms_table(names: Sequence[str], rows: list[dict[str, str]]) -> Table:
    # Nothing is cut: what does not fit goes on in the next line.
    table = make_table()
    longest = max(len(row["arm"]) for row in rows)
    table.add_column("arm", overflow="fold", min_width=min(longest, _FULL_NAME))
    for name in names[1:]:
        table.add_column(name.replace(" (", "\n("), justify="right", overflow="fold")
    for row in rows:
        table.add_row(*(row[name] for name in names))
    return table
