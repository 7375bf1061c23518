"""The interface of the views, and what those share that tell events."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Protocol, Self

from sweeps.reporting.changes import Changes
from sweeps.reporting.events import Event
from sweeps.study.progress import Progress


class View(Protocol):
    """Shows a running sweep; used as a context manager around it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End; the error tells how: ``None`` where all trials are done or no time is left."""

    def update(self, progress: Progress, seconds_left: float | None) -> None:
        """Show where the study stands.

        Args:
            progress: the study now.
            seconds_left: until no more trials are started; ``None`` for no limit.
        """

    def say(self, text: str) -> None:
        """Show a message; may be called from any thread."""


class EventView(ABC):
    """A view that is told what happens, event by event.

    Args:
        progress: the study before the sweep.
    """

    def __init__(self, progress: Progress) -> None:
        self._changes = Changes(progress)

    def __enter__(self) -> Self:
        self.show(self._changes.started())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.show(self._changes.ended(error))

    def update(self, progress: Progress, seconds_left: float | None) -> None:
        for event in self._changes.since_last(progress, seconds_left):
            self.show(event)

    @abstractmethod
    def show(self, event: Event) -> None:
        """Show what happened."""

    @abstractmethod
    def say(self, text: str) -> None:
        """Show a message; may be called from any thread."""
