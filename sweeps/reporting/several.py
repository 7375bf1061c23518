"""Several views as one."""

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from sweeps.reporting.view import View
from sweeps.study.progress import Progress


class SeveralViews:
    """The view that a person looks at, and others that learn the same.

    Args:
        shown: gets the messages.
        others: are told where the study stands and how it ends.
    """

    def __init__(self, shown: View, others: Sequence[View]) -> None:
        self._shown = shown
        self._others = others
        self._entered = ExitStack()

    def __enter__(self) -> Self:
        # Left in the reverse order: the shown one first, so that a terminal is restored.
        with ExitStack() as entered:
            for view in (*self._others, self._shown):
                entered.enter_context(view)
            self._entered = entered.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._entered.__exit__(kind, error, trace)

    def update(self, progress: Progress, seconds_left: float | None) -> None:
        for view in (self._shown, *self._others):
            view.update(progress, seconds_left)

    def say(self, text: str) -> None:
        self._shown.say(text)
