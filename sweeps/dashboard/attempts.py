"""Wrong tokens, counted by address: whoever guesses has to wait."""

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

#: Typing errors that cost nothing.
FREE_ATTEMPTS = 5
#: The first wait; each further wrong token doubles it.
FIRST_WAIT_SECONDS = 10
LONGEST_WAIT_SECONDS = 15 * 60
#: Addresses that are remembered; with more, the one that failed longest ago is forgotten.
REMEMBERED = 1000


@dataclass
class _Failures:
    number: int
    last: float
    locked_until: float


class Attempts:
    """Remembers who sent wrong tokens.

    A right token does not clear an address: behind a proxy it may be shared by one who knows the
    token and one who guesses.

    Args:
        clock: seconds, steadily rising.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, address: str) -> int:
        """The seconds for which no token from this address is looked at."""
        with self._lock:
            failures = self._failures.get(_neighbourhood(address))
            if failures is None:
                return 0
            return max(0, math.ceil(failures.locked_until - self._clock()))

    def failed(self, address: str) -> None:
        """Note a wrong token."""
        key, now = _neighbourhood(address), self._clock()
        with self._lock:
            before = self._failures.pop(key, None)
            number = 1
            if before is not None and now - before.last < 2 * LONGEST_WAIT_SECONDS:
                number = before.number + 1
            wait = 0.0
            if number >= FREE_ATTEMPTS:
                doublings = min(number - FREE_ATTEMPTS, 16)
                wait = min(FIRST_WAIT_SECONDS * 2**doublings, LONGEST_WAIT_SECONDS)
            self._failures[key] = _Failures(number, now, now + wait)
            if len(self._failures) > REMEMBERED:
                self._failures.popitem(last=False)

    def __len__(self) -> int:
        return len(self._failures)


def _neighbourhood(address: str) -> str:
    """What one visitor can choose addresses from: with IPv6 a network of 64 bits."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
