"""A live table, for terminals."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweeps.progress import Progress, count_words
from sweeps.tables import make_table
from sweeps.views.events import Events, best_words, clock, seconds_to_go

_STYLES = {"completed": "green", "pruned": "yellow", "diverged": "magenta", "failed": "red"}


class LiveView:
    """Each worker's trial, epoch and metric, the best so far and the time left.

    The trials that ended scroll by above the table.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._events = Events(starts=False)
        self._start = time.monotonic()
        self._live = Live(console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self._start = time.monotonic()
        self._live.start()
        self._live.update(Text("Starting the workers ..."))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def update(self, progress: Progress, seconds_left: float | None) -> None:
        for line in self._events.since_last(progress):
            style = next((style for word, style in _STYLES.items() if word in line), "")
            self._console.print(Text(line, style=style))
        self._live.update(self._render(progress, seconds_left))

    def say(self, text: str) -> None:
        self._console.print(Text(text))

    def _render(self, progress: Progress, seconds_left: float | None) -> RenderableType:
        table = make_table()
        for name in ("worker", "device"):
            table.add_column(name)
        for name in ("trial", "epoch", progress.metric):
            table.add_column(name, justify="right")
        for worker in progress.workers:
            at_work = worker.trial_number is not None
            table.add_row(
                worker.name,
                worker.device,
                str(worker.trial_number) if at_work else "-",
                f"{worker.epoch or 0}/{worker.epochs}" if worker.epochs else "-",
                f"{worker.value:.4f}" if worker.value is not None else "-",
            )
        return Group(table, self._bar(progress), self._footer(progress, seconds_left))

    def _bar(self, progress: Progress) -> RenderableType:
        if progress.target is None:
            return Text(f"{progress.finished} trials")
        grid = Table.grid(padding=(0, 1))
        grid.add_row(
            ProgressBar(total=progress.target, completed=progress.finished, width=40),
            f"{progress.finished}/{progress.target} trials",
        )
        return grid

    def _footer(self, progress: Progress, seconds_left: float | None) -> Text:
        parts = [best_words(progress)]
        if progress.outcomes:
            parts.append(count_words(progress))
        parts.append(f"{clock(time.monotonic() - self._start)} elapsed")
        to_go = seconds_to_go(progress)
        if progress.is_done:
            pass
        elif seconds_left == 0:
            parts.append("time is up: the last trials run to their end")
        elif to_go is None and seconds_left is not None:
            parts.append(f"at most {clock(seconds_left)} left")
        elif to_go is not None:
            bounded = to_go if seconds_left is None else min(to_go, seconds_left)
            parts.append(f"about {clock(bounded)} left")
        return Text(" · ".join(parts))
