"""A live table, for terminals and notebooks."""

import time
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweeps.reporting.events import Event, Message, SweepEnded, TrialEnded
from sweeps.reporting.formatting import best_words, clock, count_trials, make_table
from sweeps.reporting.lines import aligned, no_workers
from sweeps.reporting.stream import Sink
from sweeps.reporting.time_left import time_left
from sweeps.study.progress import Progress, count_words

_STARTING = "Starting the workers ..."
_STYLES = {"completed": "green", "pruned": "yellow", "diverged": "magenta", "failed": "red"}
#: The lines above and below the workers: the table's head, the bar, the footer, and some room.
_OTHER_LINES = 8
#: Leaves room for the times beside the bar on a terminal of 80 columns.
_BAR_WIDTH = 24


class LiveTable(Sink):
    """Shows each worker's trial, epoch and metric, the best so far and the time left.

    The trials that end, and messages, scroll by above the table.

    Args:
        console: the terminal, or where a notebook shows text.
        in_notebook: whether it is one.
        watching: what to call the storage above the table, if other processes run the sweep.
    """

    def __init__(
        self, console: Console, *, in_notebook: bool = False, watching: str | None = None
    ) -> None:
        self._console = console
        self._watching = watching
        self._started = time.monotonic()
        self._had_workers = False
        # Drawn at each update only; on a terminal the summary takes its place at the end.
        self._live: Live | _Cell = (
            _Cell()
            if in_notebook
            else Live(console=console, auto_refresh=False, transient=watching is None)
        )

    def start(self) -> None:
        self._started = time.monotonic()
        self._live.start()
        if self._watching is None:
            self._live.update(Text(_STARTING), refresh=True)

    def stop(self) -> None:
        self._live.stop()

    def show(self, event: Event) -> None:
        if isinstance(event, TrialEnded):
            style = _STYLES.get(event.outcome, "dim")
            self._console.print(Text(aligned(event), style=style))
        elif isinstance(event, Message):
            self._console.print(Text(event.text))
        elif isinstance(event, SweepEnded):
            self._live.transient = True

    def update(self, progress: Progress, seconds_left: float | None) -> None:
        self._live.update(self.render(progress, seconds_left), refresh=True)

    def render(self, progress: Progress, seconds_left: float | None) -> RenderableType:
        """Return the table with the bar and the line below it, as they are drawn."""
        self._had_workers = self._had_workers or bool(progress.workers)
        parts: list[RenderableType] = []
        times = []
        if self._watching is None:
            idle = "The workers have ended" if self._had_workers else _STARTING
            times.append(f"{clock(time.monotonic() - self._started)} elapsed")
        else:
            idle = no_workers(progress).capitalize()
            parts.append(Text(f"{progress.study_name} in {self._watching}", style="bold"))
        if left := time_left(progress, seconds_left):
            times.append(left)
        room = max(self._console.height - _OTHER_LINES, 1)
        hidden = len(progress.workers) - room
        if progress.workers:
            parts.append(worker_table(progress, room))
        else:
            parts.append(Text(f"{idle}\n"))
        if hidden > 0:
            parts.append(Text(f"and {hidden} more", style="dim"))
        parts += [_bar(progress, times), Text(_footer(progress))]
        return Group(*parts)


class _Cell:
    """Draws over itself in the output of a notebook's cell, as ``Live`` does on a terminal.

    Rich's own way leaves nothing in the notebook's file, and needs ipywidgets.
    """

    transient = False

    def start(self) -> None:
        from IPython.display import display

        self._shown = display(Text(), display_id=True)

    def update(self, renderable: RenderableType, *, refresh: bool) -> None:
        # A grid knows how notebooks show it; a group does not.
        grid = Table.grid()
        grid.add_row(renderable)
        self._shown.update(grid)

    def stop(self) -> None:
        """Leave what was drawn last."""


def worker_table(progress: Progress, most: int | None = None) -> Table:
    """Make a table of the workers, at ``most`` so many, with hosts if there are several."""
    several_hosts = len({worker.host for worker in progress.workers}) > 1
    table = make_table()
    for name in ("worker", "host", "device") if several_hosts else ("worker", "device"):
        table.add_column(name)
    for name in ("trial", "epoch", progress.metric):
        table.add_column(name, justify="right")
    # By name: worker 2 comes before worker 10.
    workers = sorted(progress.workers, key=lambda worker: (len(worker.name), worker.name))
    for worker in workers[:most]:
        names = [worker.name, worker.host] if several_hosts else [worker.name]
        work = ["-", "-", "-"]
        if worker.trial_number is not None:
            epoch = f"{worker.epoch or 0}/{worker.epochs}" if worker.epochs else "-"
            value = "-" if worker.value is None else f"{worker.value:.4f}"
            work = [str(worker.trial_number), epoch, value]
        table.add_row(*(Text(cell) for cell in [*names, worker.device, *work]))
    return table


def _bar(progress: Progress, times: Sequence[str]) -> RenderableType:
    words = " · ".join([count_trials(progress), *times])
    if progress.target is None:
        return Text(words)
    bar = ProgressBar(
        total=progress.target,
        completed=progress.finished,
        width=_BAR_WIDTH,
        complete_style="cyan",
        finished_style="green",
    )
    grid = Table.grid(padding=(0, 1))
    grid.add_row(bar, words)
    return grid


def _footer(progress: Progress) -> str:
    words = [best_words(progress)] if progress.best or not progress.outcomes else []
    return " · ".join([*words, count_words(progress)] if progress.outcomes else words)
