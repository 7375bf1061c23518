"""Progress on stderr: a bar on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def note(text: str, progress: bool) -> None:
    """Writes one line to stderr, if `progress` is wanted."""
    if progress:
        print(text, file=sys.stderr, flush=True)


@contextmanager
def progress_bar(
    description: str, total: int | None, progress: bool
) -> Iterator[Callable[[], object]]:
    """Yields a function to call after each finished picture.

    Args:
        description: what is being done, such as `decoding cifar10`.
        total: how many pictures; None where that is not known yet.
        progress: False shows nothing.
    """
    if not progress:
        yield lambda: None
    elif not sys.stderr.isatty():
        note(description if total is None else f"{description}: {total:,} pictures", True)
        yield lambda: None
    else:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(description, total=total)
            yield lambda: bar.advance(task)
