"""What is told of a sweep, and where: on the screen or as JSON lines, and in notifications."""

from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Self

from rich.console import Console

from sweeps.errors import Stopped
from sweeps.reporting import JsonLog, SweepEnded, View, ended, make_view, why_ended
from sweeps.reporting.notifications import Channel, Command, Notifier, NotifyingView, Webhook
from sweeps.study.progress import Progress


class Reports:
    """Holds what reports of one sweep, from before its study is known until after its end.

    Args:
        study: the name asked for, if one was.
        log_json: tell on stderr in JSON lines.
        notify_url: a webhook for notifications.
        notify_command: a shell command for notifications.
        notify_on: the kinds of notification wanted.
    """

    def __init__(
        self,
        study: str | None,
        *,
        log_json: bool,
        notify_url: str | None,
        notify_command: str | None,
        notify_on: tuple[str, ...],
    ) -> None:
        self._study = study
        self._log = JsonLog() if log_json else None
        self._view: View | None = None
        self._console = Console(stderr=True)
        channels: list[Channel] = [Webhook(notify_url)] if notify_url else []
        if notify_command:
            channels.append(Command(notify_command))
        self._notifier = Notifier(channels, notify_on, self._say) if channels else None
        self._entered = ExitStack()

    def __enter__(self) -> Self:
        if self._log is not None:
            self._entered.enter_context(self._log)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Who asks for an end now does not want to wait for notifications.
        with self._entered, suppress(KeyboardInterrupt, Stopped):
            if self._notifier is not None:
                self._notifier.close()

    def view(self, console: Console, progress: Progress) -> View:
        """The view for a sweep's run.

        Args:
            console: where to show it, unless it goes to the JSON lines.
            progress: the study before the run.
        """
        others = [NotifyingView(self._notifier, progress)] if self._notifier is not None else []
        self._study = progress.study_name
        self._view = make_view(console, progress, self._log, others)
        return self._view

    def nothing_to_do(self, progress: Progress) -> None:
        """The study had all its trials before."""
        self._study = progress.study_name
        if self._log is not None:
            self._log.study = progress.study_name
            self._log.write(ended(progress, None, limited=False, seconds=0))

    def ended_by(self, error: BaseException) -> None:
        """An error ended the sweep, or what came before or after it."""
        how, reason = why_ended(error)
        event = SweepEnded(study=self._study, how=how, reason=reason)
        if self._notifier is not None:
            self._notifier.ended(event)
        if self._log is None:
            return
        told = self._log.ended
        if told is None:
            self._log.write(event)
        elif reason and not (told.reason and reason.endswith(told.reason)):
            self._log.say(reason)

    def _say(self, text: str) -> None:
        if self._view is not None:
            self._view.say(text)
        elif self._log is not None:
            self._log.say(text)
        else:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)
