"""What reaches optuna-dashboard, which has no login, no read-only mode and trusts every site."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sweeps.dashboard.hosts import Hosts, host_of
from sweeps.dashboard.login import Login, Proof
from sweeps.dashboard.replies import Reply, reason, text

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_READING = ("GET", "HEAD")
_CHANGING = ("POST", "PUT", "DELETE")
#: optuna-dashboard makes another study then, without what is ours of the first, which it deletes.
_RENAMING = re.compile(r"/api/studies/\d+/rename/?")


class Guard:
    """The dashboard's application behind all that is checked.

    Args:
        app: optuna-dashboard's.
        hosts: the names under which it is visited.
        writable: whether requests that change something are let through.
        login: who may come in; None lets everybody in.
        scheme: of the addresses in visitors' browsers.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        *,
        hosts: Hosts,
        writable: bool,
        login: Login | None = None,
        scheme: str = "http",
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._writable = writable
        self._login = login
        self._scheme = scheme

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        app = self._answer(environ) or self._app
        # Redirections are built from it.
        environ["wsgi.url_scheme"] = self._scheme
        # Without this header optuna-dashboard 0.21 answers 500 to requests for its static files.
        environ.setdefault("HTTP_ACCEPT_ENCODING", "identity")
        return app(environ, start_response)

    def _answer(self, environ: "WSGIEnvironment") -> Reply | None:
        """The answer to a request that is not optuna-dashboard's; None lets it through."""
        return (
            self._wrong_address(environ)
            or self._wrong_method(environ)
            or self._wrong_origin(environ)
            or (self._login.serve(environ) if self._login is not None else None)
            or self._not_let_in(environ)
        )

    def _wrong_address(self, environ: "WSGIEnvironment") -> Reply | None:
        host = host_of(environ.get("HTTP_HOST", ""))
        if host is None:
            return text("400 Bad Request", "the Host header is missing or malformed")
        if not self._hosts.know(host):
            return text(
                "403 Forbidden",
                f"this dashboard does not answer to the name {host}; if it is its name, start it "
                f"with --allowed-host {host}",
            )
        try:
            # optuna-dashboard passes over what is not UTF-8: another path than was judged here.
            environ["PATH_INFO"].encode("latin-1").decode()
        except UnicodeDecodeError:
            return text("400 Bad Request", "the path is not UTF-8")
        if not environ["PATH_INFO"].startswith("/"):
            return text("400 Bad Request", "the path does not begin with /")
        return None

    def _wrong_method(self, environ: "WSGIEnvironment") -> Reply | None:
        method = environ["REQUEST_METHOD"]
        allowed = ("Allow", ", ".join((*_READING, "OPTIONS", *(_CHANGING * self._writable))))
        if method == "OPTIONS":
            return Reply("204 No Content", headers=(allowed,))
        if method not in (*_READING, *_CHANGING):
            return text("405 Method Not Allowed", f"no such method: {method[:20]}", allowed)
        return None

    def _wrong_origin(self, environ: "WSGIEnvironment") -> Reply | None:
        """Refuse a change that another site's page asks for."""
        if environ["REQUEST_METHOD"] in _READING:
            return None
        origin = environ.get("HTTP_ORIGIN")
        own = f"{self._scheme}://{environ['HTTP_HOST']}"
        if environ.get("HTTP_SEC_FETCH_SITE", "none") not in ("none", "same-origin") or (
            origin is not None and origin.lower() != own.lower()
        ):
            hint = "" if self._scheme == "https" else "; behind a TLS proxy, start it --behind-tls"
            return _refusal(environ, f"changes are taken from the dashboard's page alone{hint}")
        return None

    def _not_let_in(self, environ: "WSGIEnvironment") -> Reply | None:
        proof = self._login.check(environ) if self._login is not None else None
        if isinstance(proof, Reply):
            return proof
        if environ["REQUEST_METHOD"] in _READING:
            return None
        # A browser adds a cookie by itself and names the origin of a change, so both go together.
        if proof is Proof.SESSION and "HTTP_ORIGIN" not in environ:
            return _refusal(environ, "a change with a session has to name its Origin")
        if not self._writable:
            return _refusal(environ, "read-only; start the dashboard with --writable")
        if _RENAMING.fullmatch(environ["PATH_INFO"]):
            return _refusal(environ, "a study keeps its name: by another, its epochs would be lost")
        return None


def _refusal(environ: "WSGIEnvironment", message: str) -> Reply:
    """A refused change, in the form in which the dashboard's page can show the reason."""
    answer = reason if environ["PATH_INFO"].startswith("/api/") else text
    return answer("403 Forbidden", message)
