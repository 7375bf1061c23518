"""Plain lines, for files and pipes."""

import threading
import time
from types import TracebackType
from typing import Self

from rich.console import Console

from sweeps.progress import Progress
from sweeps.views.events import Events, best_words, clock


class PlainView:
    """Writes a line when a trial starts or ends, and nothing in between."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._events = Events(starts=True)
        self._start = time.monotonic()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._start = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def update(self, progress: Progress, seconds_left: float | None) -> None:
        total = "" if progress.target is None else f"/{progress.target}"
        for line in self._events.since_last(progress):
            done = f"  [{progress.finished}{total} trials, {best_words(progress)}]"
            self.say(line if " started" in line else line + done)

    def say(self, text: str) -> None:
        with self._lock:
            elapsed = clock(time.monotonic() - self._start)
            self._console.print(
                f"{elapsed:>7}  {text}", markup=False, highlight=False, soft_wrap=True
            )
