"""The socket that the dashboard listens on."""

import errno
import socket
from typing import Any

from sweeps.errors import SweepsError


def listen(host: str, port: int) -> socket.socket:
    """Listen on one address.

    Args:
        host: an address of this machine or a name of it, an IPv4 address before others.
        port: 0 takes a free one.

    Raises:
        SweepsError: the name is unknown, the address another machine's, or the port taken.
    """
    family, address = _resolve(host, port)
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Else a port is taken for a minute after its last server ended.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # "::" means all addresses, those of IPv4 too.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] != "::"))
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise SweepsError(f"--host {host}: not an address of this machine") from None
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise SweepsError(
                f"port {port} of {host} cannot be used ({error.strerror}); "
                "choose another with --port"
            ) from None
        raise SweepsError(f"--host {host}: {error.strerror}") from None
    return listener


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    try:
        # An empty name would mean every address; that is too much for a slip.
        found = socket.getaddrinfo(host or " ", port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise SweepsError(f"--host {host}: no such host ({error.strerror})") from None
    except UnicodeError:
        raise SweepsError(f"--host {host}: not the name of a host") from None
    family, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    return family, address
