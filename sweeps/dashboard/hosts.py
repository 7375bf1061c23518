"""The host names under which the dashboard may be visited.

Another site can point its own name at this machine's address (DNS rebinding), and its page could
then read the dashboard. So every request has to name a host that is known here.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HEADER = re.compile(
    r"(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::[0-9]{1,5})?", re.IGNORECASE
)


class Hosts:
    """The names that are answered.

    Args:
        host: the name or address given to listen on.
        address: the address it listens on.
        others: other names.
    """

    def __init__(self, host: str, address: str, others: Iterable[str] = ()) -> None:
        names = {host, address, *others}
        # An address cannot be rebound. The machine may not know all of its own: behind a NAT,
        # or in a container.
        self._any_address = is_wildcard(address)
        if self._any_address:
            names |= {socket.gethostname(), socket.getfqdn()}
        self._names = _LOOPBACK | {normalized(name) for name in names}

    def know(self, name: str) -> bool:
        """Whether a name, as :func:`host_of` gives it, is answered."""
        return name in self._names or (self._any_address and _address(name) is not None)


def host_of(header: str) -> str | None:
    """The name or address in a Host header, without its port; None when it is malformed."""
    match = _HEADER.fullmatch(header)
    if match is None or (match["address"] is not None and _address(match["address"]) is None):
        return None
    return normalized(match["address"] or match["name"]) or None


def normalized(name: str) -> str:
    """The one spelling of a name or address that is compared."""
    return str(_address(name) or name.lower().removesuffix("."))


def is_loopback(name: str) -> bool:
    """Whether a name or address reaches this machine from itself alone."""
    address = _address(name)
    return normalized(name) == "localhost" if address is None else address.is_loopback


def is_wildcard(name: str) -> bool:
    """Whether it means all addresses of this machine."""
    address = _address(name)
    return address is not None and address.is_unspecified


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name.strip("[]").partition("%")[0])
    except ValueError:
        return None
