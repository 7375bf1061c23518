"""A live table, for terminals."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from sweeps.reporting.events import Event, TrialEnded
from sweeps.reporting.standing import standing, time_left
from sweeps.reporting.trial_lines import ended_line
from sweeps.reporting.view import EventView
from sweeps.reporting.words import clock
from sweeps.study.progress import Progress

_STARTING = "Starting the workers ..."
_STYLES = {"completed": "green", "pruned": "yellow", "diverged": "magenta", "failed": "red"}


class LiveView(EventView):
    """Each worker's trial, epoch and metric, the best so far and the time left.

    The trials that ended scroll by above the table.
    """

    def __init__(self, console: Console, progress: Progress) -> None:
        super().__init__(progress)
        self._console = console
        self._start = time.monotonic()
        self._seen = False
        self._live = Live(console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self._start = time.monotonic()
        self._live.start()
        self._live.update(Text(_STARTING))
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        self._live.stop()

    def show(self, event: Event) -> None:
        if isinstance(event, TrialEnded):
            style = _STYLES.get(event.outcome, "dim")
            self._console.print(Text(ended_line(event), style=style))

    def update(self, progress: Progress, seconds_left: float | None) -> None:
        super().update(progress, seconds_left)
        times = [f"{clock(time.monotonic() - self._start)} elapsed"]
        if left := time_left(progress, seconds_left):
            times.append(left)
        self._seen = self._seen or bool(progress.workers)
        nobody = "The workers have ended" if self._seen else _STARTING
        self._live.update(standing(progress, self._console.height, nobody, *times))

    def say(self, text: str) -> None:
        self._console.print(Text(text))
