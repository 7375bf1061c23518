"""The view that notifies."""

from storage import CONFIGURATION
from sweeps.reporting import Event, EventView, NewBest, SweepEnded
from sweeps.reporting.notifications.notifier import Notifier
from sweeps.study.progress import Progress


class NotifyingView(EventView):
    """Passes on a sweep's end and its new bests.

    The first best of a study is none to tell of: something always is the first. Nor is one that is
    set beforehand, or comes before those are through: they are what is to be beaten.

    Args:
        notifier: is told.
        progress: the study before the sweep.
    """

    def __init__(self, notifier: Notifier, progress: Progress) -> None:
        super().__init__(progress)
        self._notifier = notifier

    def update(self, progress: Progress, seconds_left: float | None) -> None:
        super().update(progress, seconds_left)
        self._notifier.tick()

    def show(self, event: Event) -> None:
        if isinstance(event, SweepEnded):
            self._notifier.ended(event)
        elif (
            isinstance(event, NewBest)
            and event.previous is not None
            and event.configuration is None
            and not _trying_first(self._changes.progress)
        ):
            self._notifier.best(event)

    def say(self, text: str) -> None:
        # Messages are for who looks on.
        return


def _trying_first(progress: Progress) -> bool:
    """Whether a baseline has not ended yet."""
    return any(
        CONFIGURATION in trial.user_attrs and not trial.state.is_finished()
        for trial in progress.trials
    )
