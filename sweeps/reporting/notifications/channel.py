"""The interface of what carries a notification."""

from typing import Any, Protocol


class NotDelivered(Exception):
    """A notification did not get through; the message says why.

    Attributes:
        again: whether another try may do better.
    """

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.again = again


class Channel(Protocol):
    """Carries notifications.

    Attributes:
        title: what a person knows it by; holds no secret.
        end_seconds: how long a sweep's end waits for it.
    """

    title: str
    end_seconds: float

    def send(self, event: dict[str, Any]) -> None:
        """Send one, within bounded time.

        Raises:
            NotDelivered: it did not get through.
        """

    def cancel(self) -> None:
        """Give up what is being sent; may be called from another thread."""
