"""Delivery in the background: a sweep waits for nobody."""

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from sweeps.reporting.notifications.channel import Channel, NotDelivered

# Before the second try, and before the third.
_BACK_OFF_SECONDS = (0.5, 2.0)


class Delivery:
    """Sends notifications over a channel, one after the other, in a thread of its own.

    Args:
        channel: what carries them.
        say: told in one line of the first that did not get through, and of no other.
    """

    def __init__(self, channel: Channel, say: Callable[[str], None]) -> None:
        self._channel = channel
        self._say = say
        self._queue: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._told = threading.Lock()
        self._given_up = threading.Event()
        self._deadline = 0.0
        self._thread = threading.Thread(target=self._work, name="notifications", daemon=True)
        self._thread.start()

    def put(self, event: dict[str, Any]) -> None:
        """Have an event sent."""
        self._queue.put(event)

    def finish(self) -> None:
        """Take no more events; the channel's last seconds begin."""
        self._queue.put(None)
        self._deadline = time.monotonic() + self._channel.end_seconds

    def close(self) -> None:
        """Wait for what is under way until those are over, then give it up."""
        try:
            self._thread.join(max(self._deadline - time.monotonic(), 0))
        finally:
            if self._thread.is_alive():
                self._given_up.set()
                self._channel.cancel()
        if self._given_up.is_set():
            self._tell(f"not done {self._channel.end_seconds:.0f} seconds after the end")

    def _work(self) -> None:
        while (event := self._queue.get()) is not None:
            try:
                self._send(event)
            except NotDelivered as error:
                if not self._given_up.is_set():
                    self._tell(str(error))

    def _send(self, event: dict[str, Any]) -> None:
        for seconds in _BACK_OFF_SECONDS:
            try:
                return self._channel.send(event)
            except NotDelivered as error:
                if not error.again:
                    raise
            if self._given_up.wait(seconds):
                return None
        return self._channel.send(event)

    def _tell(self, reason: str) -> None:
        # Held for ever by who comes first.
        if self._told.acquire(blocking=False):
            self._say(f"Not notified: {self._channel.title}: {reason} (this is said once)")
