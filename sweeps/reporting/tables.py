"""Tables, the same everywhere."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table


def make_table(**settings: Any) -> Table:
    """A table with a line under its head, and no frame."""
    defaults: dict[str, Any] = {"box": box.SIMPLE_HEAD, "pad_edge": False}
    return Table(**(defaults | settings))


def print_table(console: Console, table: Table) -> None:
    """Print a table; in a file or pipe without the spaces that fill its lines."""
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        console.print(line.rstrip(), markup=False, highlight=False, soft_wrap=True)
