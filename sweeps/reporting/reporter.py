"""Reports of one sweep: its events, worked out once, and the sinks that they go to."""

import logging
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from rich.console import Console

from sweeps.errors import Stopped
from sweeps.reporting.events import Ending, Event, Message, SweepEnded
from sweeps.reporting.json_log import JsonLog, stderr_as_messages
from sweeps.reporting.lines import Lines
from sweeps.reporting.live import LiveTable
from sweeps.reporting.notifications import Channel, Notifier
from sweeps.reporting.stream import EventStream, Sink, why_ended
from sweeps.study.progress import Progress


class Reporter:
    """Passes on what happens in a sweep, from before its study is known until after its end.

    Args:
        study: the name that was asked for, if any.
        sinks: show, log or send it.
    """

    def __init__(self, study: str | None, sinks: Sequence[Sink]) -> None:
        self._study = study
        self._sinks = sinks
        self._stream: EventStream | None = None
        self._ended: SweepEnded | None = None

    @contextmanager
    def running(self, progress: Progress) -> Iterator[None]:
        """Report a run from its start to its end; an error that leaves the block ended it."""
        self._study = progress.study_name
        self._stream = EventStream(progress)
        with ExitStack() as started:
            for sink in self._sinks:
                started.callback(sink.stop)
                sink.start()
            self._show(self._stream.started())
            try:
                yield
            except BaseException as error:
                self._show(self._stream.ended(error))
                raise
            self._show(self._stream.ended(None))

    def update(self, progress: Progress, seconds_left: float | None) -> None:
        """Report what has happened since the last look; only while running."""
        assert self._stream is not None, "update() is for running sweeps"
        events = self._stream.advance(progress, seconds_left)
        for sink in self._sinks:
            sink.update(progress, seconds_left)
        for event in events:
            self._show(event)

    def say(self, text: str) -> None:
        """Pass on a message, at any time and from any thread."""
        self._show(Message(study=self._study, text=text))

    def nothing_to_do(self, progress: Progress) -> None:
        """Report a study that had all its trials before."""
        self._study = progress.study_name
        self._show(EventStream(progress).ended(None))

    def part(self) -> "Reporter":
        """Return a reporter of a comparison's stage; notifications are about the whole alone."""
        return Reporter(self._study, [s for s in self._sinks if not isinstance(s, Notifier)])

    def ended(self, study: str, how: Ending) -> None:
        """Report that a comparison ended, whose stages were reported as parts."""
        self._show(SweepEnded(study=study, how=how, reason=None))

    def failed(self, error: BaseException) -> None:
        """Report an error that ended the sweep, or that came before or after it."""
        how, reason = why_ended(error)
        if self._ended is None:
            self._show(SweepEnded(study=self._study, how=how, reason=reason))
        elif reason and not (self._ended.reason and reason.endswith(self._ended.reason)):
            # On a terminal and in plain lines the command line shows the error.
            for sink in self._sinks:
                if isinstance(sink, JsonLog):
                    sink.show(Message(study=self._study, text=reason))

    def _show(self, event: Event) -> None:
        if isinstance(event, SweepEnded):
            self._ended = event
        for sink in self._sinks:
            sink.show(event)


@contextmanager
def reporting(
    study: str | None,
    *,
    log_json: bool = False,
    channels: Sequence[Channel] = (),
    notify_on: Collection[str] = (),
) -> Iterator[Reporter]:
    """Report a sweep on stderr: a live table on a terminal, else plain lines or JSON.

    A notebook gets the table in its cell.

    What the project logs meanwhile, at level INFO and above, is reported as messages.

    Args:
        study: the name that was asked for, if any.
        log_json: write events as JSON; other output to stderr becomes messages.
        channels: carry notifications.
        notify_on: the kinds of notification wanted, of
            :data:`sweeps.reporting.notifications.KINDS`.
    """
    console = Console(stderr=True)
    shown: Sink = LiveTable(console) if console.is_terminal else Lines(console)
    if console.is_jupyter:
        # Lines of plain text are one output of a cell; of rich's, each is its own.
        text = Console(force_jupyter=False, force_terminal=True, height=100, soft_wrap=True)
        shown = LiveTable(text, in_notebook=True)
    if log_json:
        shown = JsonLog(sys.stderr)
    notifier = Notifier(channels, notify_on)
    reporter = Reporter(study, [shown, notifier])
    with ExitStack() as redirected:
        redirected.enter_context(show_log(reporter.say))
        if log_json:
            redirected.enter_context(stderr_as_messages(reporter.say))
        try:
            yield reporter
        finally:
            # A person who asks for an end now does not want to wait for notifications.
            with suppress(KeyboardInterrupt, Stopped):
                notifier.close()


@contextmanager
def show_log(show: Callable[[str], None]) -> Iterator[None]:
    """Show what the project logs, from INFO on, for the length of a block.

    Messages come from any thread. Of nested blocks only the innermost shows them.
    """
    logger = logging.getLogger("sweeps")
    handlers, level = logger.handlers[:], logger.level
    logger.handlers[:] = [_MessageHandler(show)]
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.handlers[:] = handlers
        logger.setLevel(level)


class _MessageHandler(logging.Handler):
    def __init__(self, show: Callable[[str], None]) -> None:
        super().__init__()
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        self._show(self.format(record))
