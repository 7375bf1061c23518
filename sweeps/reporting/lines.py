"""Plain lines, for files and pipes."""

import threading
import time

from rich.console import Console

from sweeps.reporting.events import (
    Event,
    Message,
    SweepEnded,
    TrialEnded,
    TrialStarted,
    WorkerEnded,
    WorkerStarted,
)
from sweeps.reporting.formatting import best_words, clock, count_trials, print_line
from sweeps.reporting.stream import Sink
from sweeps.study.progress import Progress


class Lines(Sink):
    """Writes a line for each message and each trial that starts or ends, with the time elapsed.

    Args:
        console: where to write.
        watching: also tell of workers, and how the sweep ends. A run's other output tells it too.
    """

    def __init__(self, console: Console, *, watching: bool = False) -> None:
        self._console = console
        self._watching = watching
        self._started: float | None = None
        self._progress: Progress | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        self._started = time.monotonic()

    def update(self, progress: Progress, seconds_left: float | None) -> None:
        if self._watching and self._progress is None:
            number = len(progress.workers)
            workers = f"{number} {'worker' if number == 1 else 'workers'}"
            workers = workers if number else no_workers(progress)
            counts = f"{count_trials(progress)}, {best_words(progress)}"
            self._write(f"{progress.study_name}: {counts}, {workers}")
        self._progress = progress

    def show(self, event: Event) -> None:
        if isinstance(event, TrialStarted):
            self._write(aligned(event))
        elif isinstance(event, TrialEnded) and self._progress is not None:
            counts = f"{count_trials(self._progress)}, {best_words(self._progress)}"
            self._write(f"{aligned(event)}  [{counts}]")
        elif isinstance(event, Message) or (
            self._watching and isinstance(event, WorkerStarted | WorkerEnded | SweepEnded)
        ):
            self._write(event.sentence())

    def _write(self, text: str) -> None:
        with self._lock:
            if self._started is not None:
                text = f"{clock(time.monotonic() - self._started):>7}  {text}"
            print_line(self._console, text)


def no_workers(progress: Progress) -> str:
    """Say that no worker runs, and that an unfinished study waits for one."""
    return "no worker is running" + ("" if progress.is_done else ": waiting for one")


def aligned(event: TrialStarted | TrialEnded) -> str:
    """Word a trial's start or end so that numbers and results stand in columns."""
    words = event.sentence().removeprefix(f"trial {event.trial} ")
    if isinstance(event, TrialEnded) and event.outcome in ("completed", "pruned"):
        outcome, _, result = words.partition(": ")
        words = f"{outcome:<9} {result}".rstrip()
    return f"trial {event.trial:>3} {words}"
