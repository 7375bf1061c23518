"""The interface of the views, and the choice between them."""

from types import TracebackType
from typing import Protocol, Self

from rich.console import Console

from sweeps.progress import Progress


class View(Protocol):
    """Shows a running sweep; used as a context manager around it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def update(self, progress: Progress, seconds_left: float | None) -> None:
        """Show where the study stands.

        Args:
            progress: the study now.
            seconds_left: until no more trials are started; ``None`` for no limit.
        """

    def say(self, text: str) -> None:
        """Show a message; may be called from any thread."""


def make_view(console: Console) -> View:
    """A live table where the console is a terminal, plain lines where it is not."""
    from sweeps.views.live import LiveView
    from sweeps.views.plain import PlainView

    return LiveView(console) if console.is_terminal else PlainView(console)
