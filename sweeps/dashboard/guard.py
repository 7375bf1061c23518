"""What is let through to optuna-dashboard, which has no login and trusts every site."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from bottle import HTTPResponse, Request

from sweeps.dashboard.answers import refusal, send
from sweeps.dashboard.hosts import Hosts, host_of
from sweeps.dashboard.login import Login

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_READING = ("GET", "HEAD")
_CHANGING = ("POST", "PUT", "DELETE")
#: optuna-dashboard renames by making a new study, without our tables' rows of the old one.
_RENAMING = re.compile(r"/api/studies/\d+/rename/?")


class Guard:
    """optuna-dashboard behind checks of address, method, origin and login.

    Args:
        app: optuna-dashboard's.
        hosts: the names that are answered.
        writable: whether requests that change something are allowed.
        login: who is let in; None lets everybody in.
        scheme: of the addresses in visitors' browsers.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        *,
        hosts: Hosts,
        writable: bool,
        login: Login | None,
        scheme: str,
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._writable = writable
        self._login = login
        self._scheme = scheme

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        # Redirections are built from it.
        environ["wsgi.url_scheme"] = self._scheme
        # Without this header optuna-dashboard 0.21 answers 500 to requests for its static files.
        environ.setdefault("HTTP_ACCEPT_ENCODING", "identity")
        request = Request(environ)
        try:
            self._check_address(request)
            self._check_method(request)
            self._check_origin(request)
            by_cookie = self._login is not None and self._login.check(request)
            self._check_change(request, by_cookie=by_cookie)
        except HTTPResponse as answer:
            return send(answer, environ, start_response)
        return self._app(environ, start_response)

    def _check_address(self, request: Request) -> None:
        host = host_of(request.environ.get("HTTP_HOST", ""))
        if host is None:
            raise refusal(request, 400, "the Host header is missing or malformed")
        if not self._hosts.know(host):
            raise refusal(
                request,
                403,
                f"this dashboard does not answer to the name {host}; if it is its name, start it "
                f"with --allowed-host {host}",
            )
        path = request.environ["PATH_INFO"]
        try:
            # optuna-dashboard drops what is not UTF-8, and would see another path than this check.
            path.encode("latin-1").decode()
        except UnicodeDecodeError:
            raise refusal(request, 400, "the path is not UTF-8") from None
        if not path.startswith("/"):
            raise refusal(request, 400, "the path does not begin with /")

    def _check_method(self, request: Request) -> None:
        allowed = ", ".join((*_READING, "OPTIONS", *(_CHANGING * self._writable)))
        if request.method == "OPTIONS":
            raise HTTPResponse(status=204, Allow=allowed)
        if request.method not in (*_READING, *_CHANGING):
            raise refusal(request, 405, f"no such method: {request.method[:20]}", Allow=allowed)

    def _check_origin(self, request: Request) -> None:
        """Refuse a change that comes from another site's page."""
        if request.method in _READING:
            return
        origin = request.environ.get("HTTP_ORIGIN")
        own = f"{self._scheme}://{request.environ['HTTP_HOST']}"
        if request.environ.get("HTTP_SEC_FETCH_SITE", "none") not in ("none", "same-origin") or (
            origin is not None and origin.lower() != own.lower()
        ):
            hint = "" if self._scheme == "https" else "; behind a TLS proxy, start it --behind-tls"
            raise refusal(request, 403, f"only the dashboard's own page may change things{hint}")

    def _check_change(self, request: Request, *, by_cookie: bool) -> None:
        if request.method in _READING:
            return
        # Browsers send cookies by themselves, and with every change its origin.
        if by_cookie and "HTTP_ORIGIN" not in request.environ:
            raise refusal(request, 403, "a change with a session has to name its Origin")
        if not self._writable:
            raise refusal(request, 403, "read-only; start the dashboard with --writable")
        if _RENAMING.fullmatch(request.path):
            reason = "studies cannot be renamed here: their epochs would be lost"
            raise refusal(request, 403, reason)
