"""optuna-dashboard on a storage, on 127.0.0.1."""

import errno
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import waitress
from optuna_dashboard import wsgi

from storage import HardenedStorage
from sweeps.errors import SweepsError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_HOST = "127.0.0.1"


def serve(
    storage: HardenedStorage, port: int, *, writable: bool, say: Callable[[str], None]
) -> None:
    """Serve the dashboard until a signal ends it.

    Args:
        storage: what it shows.
        port: of 127.0.0.1; 0 takes a free one.
        writable: whether requests that change something are let through.
        say: told the address.

    Raises:
        SweepsError: the port is taken.
    """
    try:
        server: Any = waitress.create_server(
            guarded(wsgi(storage), writable=writable), host=_HOST, port=port, threads=8
        )
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise SweepsError(
            f"port {port} of {_HOST} cannot be used ({error.strerror}); choose another with --port"
        ) from None
    say(
        f"Dashboard on http://{_HOST}:{server.effective_port}/ ({storage.location}); Ctrl-C ends it"
    )
    if not writable:
        say("It only reads; --writable lets it change and delete.")
    try:
        server.run()
    finally:
        server.close()


def guarded(app: "WSGIApplication", *, writable: bool) -> "WSGIApplication":
    """The dashboard's application, refusing changes, and requests made for another host.

    It has no login: a page of another site that a browser is led to could otherwise read it
    through a name that resolves to this machine (DNS rebinding), or change it.
    """

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        host = environ.get("HTTP_HOST", "").rsplit(":", 1)[0]
        if host not in (_HOST, "localhost"):
            return _refuse(start_response, f"this dashboard answers to {_HOST} alone")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            if not writable:
                return _refuse(start_response, "read-only; start the dashboard with --writable")
            origin = environ.get("HTTP_ORIGIN")
            if origin is not None and origin != f"http://{environ['HTTP_HOST']}":
                return _refuse(start_response, "changes are taken from the dashboard's page alone")
        # Without this header optuna-dashboard 0.21 answers 500 to requests for its static files.
        environ.setdefault("HTTP_ACCEPT_ENCODING", "identity")
        return app(environ, start_response)

    return answer


def _refuse(start_response: "StartResponse", reason: str) -> Iterable[bytes]:
    start_response("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
    return [reason.encode()]
