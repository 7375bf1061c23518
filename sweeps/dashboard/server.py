"""The dashboard's server."""

import logging
from collections.abc import Callable
from typing import Any

import waitress
from optuna_dashboard import wsgi

from storage import DatabaseArtifactStore, HardenedStorage
from sweeps.dashboard.announcement import announcement
from sweeps.dashboard.guard import Guard
from sweeps.dashboard.headers import with_headers
from sweeps.dashboard.hosts import Hosts, is_loopback
from sweeps.dashboard.listening import listen
from sweeps.dashboard.login import Login
from sweeps.dashboard.settings import Settings
from sweeps.dashboard.tokens import make_token

# A request's body is kept before anybody is asked for a token. Only uploads need more than a form.
_SMALL_BODY = 1 << 16
_LARGE_BODY = 128 << 20

# A page is not waited for as long as a worker waits. The threads are few, too.
_PATIENCE_SECONDS = 5.0


def serve(storage: HardenedStorage, settings: Settings, say: Callable[[str], None]) -> None:
    """Serve the dashboard until a signal ends it.

    Args:
        storage: what it shows.
        settings: where, and to whom.
        say: told the address and who can reach it.

    Raises:
        SweepsError: it cannot listen there.
    """
    storage.patience = _PATIENCE_SECONDS
    with listen(settings.host, settings.port) as listener:
        address, port = listener.getsockname()[:2]
        made_up = None
        if settings.token is None and settings.is_exposed(address):
            made_up = make_token()
        token = settings.token or made_up
        guard = Guard(
            wsgi(storage, DatabaseArtifactStore(storage)),
            hosts=Hosts(settings.host, address, settings.allowed_hosts),
            writable=settings.writable,
            login=None
            if token is None
            else Login(token, cookie=f"sweeps_session_{port}", secure=settings.behind_tls),
            scheme="https" if settings.behind_tls else "http",
        )
        # It would speak of every page whose parts have to wait for a thread.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        # The proxy on this machine says whose request it passes on; others may say what they like.
        proxy: dict[str, Any] = {}
        if settings.behind_tls and is_loopback(address):
            proxy = {"trusted_proxy": address, "trusted_proxy_headers": "x-forwarded-for"}
        server: Any = waitress.create_server(
            with_headers(guard),
            sockets=[listener],
            threads=8,
            ident=None,
            max_request_body_size=_LARGE_BODY if settings.writable else _SMALL_BODY,
            **proxy,
        )
        for line in announcement(settings, address, port, storage.location, made_up):
            say(line)
        try:
            server.run()
        finally:
            server.close()
