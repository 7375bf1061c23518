"""Plain lines, for files and pipes."""

import threading
import time
from typing import Self

from rich.console import Console

from sweeps.reporting.events import Event, TrialEnded, TrialStarted
from sweeps.reporting.trial_lines import ended_line, started_line
from sweeps.reporting.view import EventView
from sweeps.reporting.words import best_words, clock, count_trials
from sweeps.study.progress import Progress


class PlainView(EventView):
    """Writes a line when a trial starts or ends, and nothing in between."""

    def __init__(self, console: Console, progress: Progress) -> None:
        super().__init__(progress)
        self._console = console
        self._start = time.monotonic()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._start = time.monotonic()
        return super().__enter__()

    def show(self, event: Event) -> None:
        if isinstance(event, TrialStarted):
            self.say(started_line(event))
        elif isinstance(event, TrialEnded):
            progress = self._changes.progress
            self.say(f"{ended_line(event)}  [{count_trials(progress)}, {best_words(progress)}]")

    def say(self, text: str) -> None:
        with self._lock:
            elapsed = clock(time.monotonic() - self._start)
            self._console.print(
                f"{elapsed:>7}  {text}", markup=False, highlight=False, soft_wrap=True
            )
