"""Looking on while others work on a study: a table drawn anew, lines of text, or lines of JSON."""

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from storage import StorageError
from sweeps.reporting.events import Event, SweepEnded, WorkerEnded, WorkerStarted
from sweeps.reporting.plain import PlainView
from sweeps.reporting.standing import standing, time_left
from sweeps.reporting.state import state_of
from sweeps.reporting.words import best_words, count_trials
from sweeps.study.progress import Progress


class Watcher(ABC):
    """Shows a study again and again; used as a context manager around it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end(is_done=error is None)

    def end(self, *, is_done: bool) -> None:  # noqa: B027
        """Stop showing it, be it done or not; not every watcher has to do something for that."""

    @abstractmethod
    def show(self, progress: Progress) -> None:
        """Show where the study stands."""

    @abstractmethod
    def show_trouble(self, reason: str) -> None:
        """Show why that cannot be seen."""


def watch(look: Callable[[], Progress], watcher: Watcher, interval: float) -> Progress:
    """Show a study until it is done and nobody works on it.

    Args:
        look: reads it. It may be missing for a while.
        watcher: shows it.
        interval: seconds between two looks.

    Returns:
        The study at its end.
    """
    with watcher:
        while True:
            try:
                progress = look()
            except StorageError as error:
                watcher.show_trouble(str(error))
            else:
                watcher.show(progress)
                if progress.is_done and not progress.workers:
                    return progress
            time.sleep(interval)


class TableWatcher(Watcher):
    """Draws the study in place, for terminals.

    Args:
        console: the terminal.
        where: the storage, as a person knows it.
    """

    def __init__(self, console: Console, where: str) -> None:
        self._console = console
        self._where = where
        self._last: RenderableType = Text("")
        self._live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def end(self, *, is_done: bool) -> None:
        # At the study's end its summary takes this place; what is left earlier stays to be read.
        self._live.transient = is_done
        self._live.stop()

    def show(self, progress: Progress) -> None:
        head = Text(f"{progress.study_name} in {self._where}", style="bold")
        left = time_left(progress, None)
        times = [left] if left else []
        height = self._console.height
        self._last = Group(head, standing(progress, height, _nobody(progress).capitalize(), *times))
        self._live.update(self._last, refresh=True)

    def show_trouble(self, reason: str) -> None:
        trouble = Text(f"{reason} (looking again)", style="yellow")
        self._live.update(Group(self._last, trouble), refresh=True)


class LineWatcher(Watcher):
    """Writes a line for each change, for files and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._view: _Lines | None = None
        self._trouble = ""

    def end(self, *, is_done: bool) -> None:
        if self._view is not None and is_done:
            self._view.__exit__(None, None, None)

    def show(self, progress: Progress) -> None:
        self._trouble = ""
        if self._view is None:
            self._view = _Lines(self._console, progress)
            at_work = len(progress.workers)
            workers = f"{at_work} {'worker' if at_work == 1 else 'workers'}"
            workers = workers if at_work else _nobody(progress)
            words = f"{count_trials(progress)}, {best_words(progress)}, {workers}"
            self._view.say(f"{progress.study_name}: {words}")
        self._view.update(progress, None)

    def show_trouble(self, reason: str) -> None:
        if reason != self._trouble:
            self._trouble = reason
            self._console.print(
                f"{reason} (looking again)", markup=False, highlight=False, soft_wrap=True
            )


class JsonWatcher(Watcher):
    """Writes the state as JSON, a line for each change, and none for trouble.

    Args:
        write: takes a line for stdout.
        note: takes a line for stderr.
        where: the storage, as a person knows it.
    """

    def __init__(
        self, write: Callable[[str], None], note: Callable[[str], None], where: str
    ) -> None:
        self._write = write
        self._note = note
        self._where = where
        self._known: dict[str, Any] = {}
        self._trouble = ""

    def show(self, progress: Progress) -> None:
        self._trouble = ""
        state = state_of(progress, self._where)
        known = {**state, "time": None, "workers": [_steady(w) for w in state["workers"]]}
        if known != self._known:
            self._known = known
            self._write(json.dumps(state, allow_nan=False))

    def show_trouble(self, reason: str) -> None:
        if reason != self._trouble:
            self._trouble = reason
            self._note(f"{reason} (looking again)")


class _Lines(PlainView):
    """Tells of workers too, and of the study's end: nobody else does."""

    def show(self, event: Event) -> None:
        if isinstance(event, WorkerStarted | WorkerEnded | SweepEnded):
            self.say(event.sentence())
        else:
            super().show(event)


def _nobody(progress: Progress) -> str:
    return "nobody works on it" + ("" if progress.is_done else ", so this waits")


def _steady(worker: dict[str, Any]) -> dict[str, Any]:
    return {**worker, "last_seen": None}
