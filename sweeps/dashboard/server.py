"""The dashboard's server."""

import errno
import logging
import secrets
import socket
from typing import Any

import click
import waitress
from optuna_dashboard import wsgi

from storage import HardenedStorage
from sweeps.dashboard.announcement import announcement
from sweeps.dashboard.answers import with_headers
from sweeps.dashboard.guard import Guard
from sweeps.dashboard.hosts import Hosts
from sweeps.dashboard.login import Login
from sweeps.dashboard.settings import Settings
from sweeps.errors import SweepsError

# Bodies are read before the token is checked. Notes are the largest.
_MAX_BODY_BYTES = 1 << 20

# Shorter than a worker's: a visitor does not wait that long for a page, and threads are few.
_PATIENCE_SECONDS = 5.0


def serve(storage: HardenedStorage, settings: Settings) -> None:
    """Serve the dashboard until a signal ends it; print its address and who can reach it.

    Args:
        storage: what it shows.
        settings: where it listens, and to whom it is open.

    Raises:
        SweepsError: it cannot listen there.
    """
    storage.patience = _PATIENCE_SECONDS
    with listen(settings.host, settings.port) as listener:
        address, port = listener.getsockname()[:2]
        made_up = None
        if settings.token is None and settings.is_exposed(address):
            made_up = secrets.token_urlsafe(32)
        token = settings.token or made_up
        guard = Guard(
            wsgi(storage),
            hosts=Hosts(settings.host, address, settings.allowed_hosts),
            writable=settings.writable,
            login=None
            if token is None
            else Login(token, cookie=f"sweeps_session_{port}", secure=settings.behind_tls),
            scheme="https" if settings.behind_tls else "http",
        )
        # It warns of every page whose parts wait for a thread.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        server: Any = waitress.create_server(
            with_headers(guard),
            sockets=[listener],
            threads=8,
            ident=None,
            max_request_body_size=_MAX_BODY_BYTES,
        )
        for line in announcement(settings, address, port, storage.location, made_up):
            click.echo(line, err=True)
        try:
            server.run()
        finally:
            server.close()


def listen(host: str, port: int) -> socket.socket:
    """Listen on one address.

    Args:
        host: an address of this machine or a name of it, an IPv4 address before others.
        port: 0 takes a free one.

    Raises:
        SweepsError: the name is unknown, the address another machine's, or the port taken.
    """
    try:
        # An empty name would mean every address, too much for a typing error.
        found = socket.getaddrinfo(host or " ", port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise SweepsError(f"--host {host}: no such host ({error.strerror})") from None
    except UnicodeError:
        raise SweepsError(f"--host {host}: not the name of a host") from None
    family, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Otherwise the port stays taken for a minute after its last server ended.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # "::" means all addresses, IPv4 included.
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
