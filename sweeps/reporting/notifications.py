"""Which events people elsewhere are notified of, and how channels carry them."""

import logging
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any

from sweeps.reporting.events import Event, NewBest, SweepEnded
from sweeps.reporting.findings import is_baseline
from sweeps.reporting.stream import Sink
from sweeps.study.progress import Progress

#: The kinds of notification.
KINDS = ("finished", "failed", "stopped", "best")

_SECONDS_BETWEEN_BESTS = 60.0

_logger = logging.getLogger(__name__)


class NotDelivered(Exception):
    """A notification did not get through; the message says why."""


class Channel(ABC):
    """Carries notifications, one after the other in a thread of its own: the sweep never waits.

    The first failure is logged as a warning, later ones are not.

    Attributes:
        title: what a person knows the channel by; holds no secret.
        end_seconds: how long a sweep's end waits for notifications under way.
    """

    title: str
    end_seconds: float

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._warned = threading.Lock()
        self._given_up = False
        self._deadline = 0.0
        # A daemon: one that hangs does not keep the process alive.
        self._thread = threading.Thread(target=self._work, name="notifications", daemon=True)
        self._thread.start()

    @abstractmethod
    def send(self, event: dict[str, Any]) -> None:
        """Send an event, in the channel's thread.

        Raises:
            NotDelivered, OSError: it did not get through.
        """

    def cancel(self) -> None:
        """Give up, even what is being sent; called from another thread."""
        self._given_up = True

    def put(self, event: dict[str, Any]) -> None:
        """Have an event sent."""
        self._queue.put(event)

    def finish(self) -> None:
        """Take no more events, and start the last seconds."""
        self._queue.put(None)
        self._deadline = time.monotonic() + self.end_seconds

    def close(self) -> None:
        """Wait until the last seconds are over, then give up."""
        try:
            self._thread.join(max(self._deadline - time.monotonic(), 0))
        finally:
            if self._thread.is_alive():
                self.cancel()
        if self._given_up:
            self._warn(f"not done {self.end_seconds:.0f} seconds after the end")

    def _work(self) -> None:
        while (event := self._queue.get()) is not None and not self._given_up:
            try:
                self.send(event)
            except (NotDelivered, OSError) as error:
                if not self._given_up:
                    self._warn(str(error))

    def _warn(self, reason: str) -> None:
        # Never released: only the first warning gets it.
        if self._warned.acquire(blocking=False):
            warning = "Notification failed: %s: %s (later failures are not shown)"
            _logger.warning(warning, self.title, reason)


class Notifier(Sink):
    """Notifies of a sweep's end, and of a new best at most once a minute.

    Of several new bests within a minute, the last is sent when the minute is over; one that still
    waits at the sweep's end is sent only if the end is not. The first best of a study is not sent,
    since some trial always is the first. Nor is any best before all baselines have ended: they are
    what the search has to beat.

    Args:
        channels: carry the notifications.
        kinds: which of :data:`KINDS` are wanted. A sweep that is out of time counts as finished.
    """

    def __init__(self, channels: Sequence[Channel], kinds: Collection[str]) -> None:
        self._channels = channels
        self._kinds = kinds
        self._baselines_left = False
        self._waiting: NewBest | None = None
        self._last_best: float | None = None
        self._has_ended = False

    def update(self, progress: Progress, seconds_left: float | None) -> None:
        self._baselines_left = any(
            is_baseline(trial) and not trial.state.is_finished() for trial in progress.trials
        )
        self._send_best()

    def show(self, event: Event) -> None:
        if isinstance(event, NewBest) and "best" in self._kinds:
            is_sampled = event.configuration is None
            if event.previous is not None and is_sampled and not self._baselines_left:
                self._waiting = event
                self._send_best()
        elif isinstance(event, SweepEnded) and not self._has_ended:
            self._has_ended = True
            kind = "finished" if event.how == "time_is_up" else event.how
            if kind in self._kinds:
                self._send(event)
            elif self._waiting is not None:
                self._send(self._waiting)

    def close(self) -> None:
        """Wait a few seconds at most for notifications under way, then give them up."""
        for channel in self._channels:
            channel.finish()
        for channel in self._channels:
            channel.close()

    def _send_best(self) -> None:
        now = time.monotonic()
        is_due = self._last_best is None or now - self._last_best >= _SECONDS_BETWEEN_BESTS
        if self._waiting is not None and is_due:
            self._last_best = now
            self._send(self._waiting)

    def _send(self, event: Event) -> None:
        self._waiting = None
        for channel in self._channels:
            channel.put(event.as_dict())
