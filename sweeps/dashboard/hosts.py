"""Under which names the dashboard may be visited.

A page of another site can give its own name this machine's address (DNS rebinding) and would then
read the dashboard as if it were its own. So a request has to name a host that is known here.
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
        host: what the server was told to listen on.
        address: what it listens on.
        others: further names.
    """

    def __init__(self, host: str, address: str, others: Iterable[str] = ()) -> None:
        names = {host, address, *others}
        # An address in place of a name cannot be rebound, and those of this machine may be
        # others than it knows of itself: behind a NAT, or in a container.
        self._any_address = is_wildcard(address)
        if self._any_address:
            names |= {socket.gethostname(), socket.getfqdn()}
        self._names = _LOOPBACK | {normalised(name) for name in names}

    def know(self, name: str) -> bool:
        """Whether a name, as :func:`host_of` gives it, is answered."""
        return name in self._names or (self._any_address and _is_address(name))


def host_of(header: str) -> str | None:
    """The name or address in a Host header, without its port; None when it is malformed."""
    match = _HEADER.fullmatch(header)
    if match is None:
        return None
    if match["address"] is not None:
        return normalised(match["address"]) if _is_address(match["address"]) else None
    return normalised(match["name"]) or None


def normalised(name: str) -> str:
    """One spelling for a name, and for an address."""
    name = name.strip("[]").partition("%")[0]
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.lower().removesuffix(".")


def is_loopback(name: str) -> bool:
    """Whether a name or address means this machine, for itself alone."""
    name = normalised(name)
    return name == "localhost" or (_is_address(name) and ipaddress.ip_address(name).is_loopback)


def is_wildcard(address: str) -> bool:
    """Whether it stands for all addresses of this machine."""
    return ipaddress.ip_address(normalised(address)).is_unspecified


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
