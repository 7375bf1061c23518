"""Where a study stands: its workers, its budget, its best; for terminals, to be drawn anew."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from storage import WorkerRecord
from sweeps.reporting.tables import make_table
from sweeps.reporting.words import best_words, clock, count_trials, seconds_to_go
from sweeps.study.progress import Progress, count_words

# What stands above and below the workers: the head and its line, bar, footer, and some air.
_OTHER_LINES = 8
# So that the times fit beside it on a terminal of 80 columns.
_BAR_WIDTH = 24


def standing(progress: Progress, height: int, nobody: str, *times: str) -> RenderableType:
    """The workers in a table, a bar, and the best so far.

    Args:
        progress: the study.
        height: lines on the terminal; workers that do not fit are counted.
        nobody: what stands in place of the table where there is no worker.
        times: what to say of the time, after the bar.
    """
    shown = progress.workers
    if len(shown) > height - _OTHER_LINES:
        shown = shown[: max(height - _OTHER_LINES, 1)]
    parts: list[RenderableType] = [worker_table(progress, shown) if shown else Text(f"{nobody}\n")]
    if len(shown) < len(progress.workers):
        parts.append(Text(f"and {len(progress.workers) - len(shown)} workers more", style="dim"))
    words = [best_words(progress)] if progress.best or not progress.outcomes else []
    if progress.outcomes:
        words.append(count_words(progress))
    parts += [_bar(progress, times), Text(" · ".join(words))]
    return Group(*parts)


def worker_table(progress: Progress, workers: Sequence[WorkerRecord]) -> Table:
    """Each worker's trial, epoch and metric; its host too where there are several."""
    several = len({worker.host for worker in progress.workers}) > 1
    table = make_table()
    for name in ("worker", "host", "device") if several else ("worker", "device"):
        table.add_column(name)
    for name in ("trial", "epoch", progress.metric):
        table.add_column(name, justify="right")
    for worker in workers:
        cells = [worker.name, worker.host] if several else [worker.name]
        table.add_row(*(Text(cell) for cell in [*cells, worker.device]), *at_work(worker))
    return table


def at_work(worker: WorkerRecord) -> tuple[str, str, str]:
    """A worker's trial, epoch and metric; dashes where it has none."""
    if worker.trial_number is None:
        return "-", "-", "-"
    epoch = f"{worker.epoch or 0}/{worker.epochs}" if worker.epochs else "-"
    return str(worker.trial_number), epoch, "-" if worker.value is None else f"{worker.value:.4f}"


def time_left(progress: Progress, seconds_left: float | None) -> str | None:
    """How long it will take, in words; ``None`` where that cannot be said."""
    if progress.is_done:
        return None
    if seconds_left == 0:
        return "time is up: the last trials end"
    to_go = seconds_to_go(progress)
    if to_go is None:
        return None if seconds_left is None else f"at most {clock(seconds_left)} left"
    to_go = to_go if seconds_left is None else min(to_go, seconds_left)
    return "soon done" if to_go < 1 else f"about {clock(to_go)} left"


def _bar(progress: Progress, times: Sequence[str]) -> RenderableType:
    words = " · ".join([count_trials(progress), *times])
    if progress.target is None:
        return Text(words)
    grid = Table.grid(padding=(0, 1))
    bar = ProgressBar(
        total=progress.target,
        completed=progress.finished,
        width=_BAR_WIDTH,
        complete_style="cyan",
        finished_style="green",
    )
    grid.add_row(bar, words)
    return grid
