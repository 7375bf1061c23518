"""The sessions of those who have logged in: a signed value in a cookie, nothing in the browser."""

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable

from sweeps.dashboard.tokens import same

#: A working day: long enough to log in once in the morning.
LIFETIME_SECONDS = 12 * 3600


class Sessions:
    """Gives out session values, and knows them again.

    A value names its end and is signed with a secret of this process: it holds no token, cannot be
    made up or prolonged, and is worth nothing once the server has been started anew.

    Args:
        clock: seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._ended: dict[str, int] = {}
        self._lock = threading.Lock()

    def begin(self) -> str:
        """The value of a new session."""
        text = f"{int(self._clock()) + LIFETIME_SECONDS}.{secrets.token_urlsafe(16)}"
        return f"{text}.{self._sign(text)}"

    def is_valid(self, value: str) -> bool:
        """Whether the value was given out here, and has neither run out nor been ended."""
        text, _, signature = value.rpartition(".")
        if not same(signature.encode(), self._sign(text).encode()):
            return False
        ends_at = int(text.partition(".")[0])
        with self._lock:
            return self._clock() < ends_at and text not in self._ended

    def end(self, value: str) -> None:
        """End a valid session before its time."""
        text = value.rpartition(".")[0]
        now = self._clock()
        with self._lock:
            self._ended = {key: end for key, end in self._ended.items() if end > now}
            self._ended[text] = int(text.partition(".")[0])

    def _sign(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()
