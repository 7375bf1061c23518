"""Which events are worth a notification, and when."""

import time
from collections.abc import Callable, Collection, Sequence

from sweeps.reporting import Event, NewBest, SweepEnded
from sweeps.reporting.notifications.channel import Channel
from sweeps.reporting.notifications.delivery import Delivery

#: What a person can ask for.
KINDS = ("finished", "failed", "stopped", "best")

_BEST_SECONDS = 60.0


class Notifier:
    """Notifies of a sweep's end, and of its new best at most once a minute.

    Of several new bests within a minute the last is told, at its end. The one that is held back
    when the sweep ends is told by the notification of the end, where there is one.

    Args:
        channels: where to.
        kinds: which of :data:`KINDS`. A sweep that is out of time is finished.
        say: told of failures.
    """

    def __init__(
        self, channels: Sequence[Channel], kinds: Collection[str], say: Callable[[str], None]
    ) -> None:
        self._deliveries = [Delivery(channel, say) for channel in channels]
        self._kinds = kinds
        self._is_over = False
        self._held: NewBest | None = None
        self._last_best: float | None = None

    def best(self, event: NewBest) -> None:
        """Tell a new best, now or when the minute is over."""
        if "best" in self._kinds:
            self._held = event
            self.tick()

    def tick(self) -> None:
        """Send the new best that was held back, if it is time."""
        now = time.monotonic()
        if self._held is None:
            return
        if self._last_best is None or now - self._last_best >= _BEST_SECONDS:
            self._last_best = now
            self._send(self._held)

    def ended(self, event: SweepEnded) -> None:
        """Tell how the sweep ended; what is told after that is no news."""
        if self._is_over:
            return
        self._is_over = True
        kind = "finished" if event.how == "time_is_up" else event.how
        if kind in self._kinds:
            self._send(event)
        elif self._held is not None:
            self._send(self._held)

    def close(self) -> None:
        """Wait a few seconds at most for what is under way."""
        for delivery in self._deliveries:
            delivery.finish()
        for delivery in self._deliveries:
            delivery.close()

    def _send(self, event: Event) -> None:
        self._held = None
        for delivery in self._deliveries:
            delivery.put(event.as_dict())
