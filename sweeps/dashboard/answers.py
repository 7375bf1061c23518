"""Refusals, and the headers that every answer carries."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from bottle import HTTPResponse, Request

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# For answers without a policy of their own, which are not pages: if a browser shows one all the
# same, nothing in it runs, loads or sends.
_CLOSED = "default-src 'none'; sandbox; frame-ancestors 'none'"

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    # Not "no-referrer": browsers would leave the origin out of the login form too. Only the answer
    # to an address with a token has that.
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def refusal(request: Request, status: int, message: str, **headers: str) -> HTTPResponse:
    """A refusal, in a form whose reason the dashboard's page can show."""
    if request.path.startswith("/api/"):
        body, kind = json.dumps({"reason": message}), "application/json"
    else:
        body, kind = f"{message}\n", "text/plain; charset=utf-8"
    return HTTPResponse(body, status, Content_Type=kind, **headers)


def send(
    answer: HTTPResponse, environ: "WSGIEnvironment", start_response: "StartResponse"
) -> Iterable[bytes]:
    """Send an answer, to HEAD requests without its body."""
    body: bytes = (answer.body or "").encode()
    answer.content_length = len(body)
    start_response(answer.status_line, answer.headerlist)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def with_headers(app: "WSGIApplication") -> "WSGIApplication":
    """Add security headers to every answer of an application."""

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ["PATH_INFO"]

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, _completed(path, headers), exc_info)

        return app(environ, start)

    return answer


def _completed(path: str, given: list[tuple[str, str]]) -> list[tuple[str, str]]:
    # optuna-dashboard lets every site read some of its answers.
    headers = [pair for pair in given if not pair[0].lower().startswith("access-control-")]
    present = {name.lower() for name, _ in headers}
    # Static files may be cached, but are checked for changes.
    fresh = "private, no-cache" if path.startswith("/static/") else "no-store"
    for name, value in {**_ALWAYS, "Cache-Control": fresh}.items():
        if name.lower() not in present:
            headers.append((name, value))
    if "content-security-policy" not in present:
        headers.append(("Content-Security-Policy", _CLOSED))
    else:
        headers = [_unframed(pair) for pair in headers]
    return headers


def _unframed(header: tuple[str, str]) -> tuple[str, str]:
    """A page's own policy, and that no other page may frame it or redirect its links."""
    name, value = header
    if name.lower() != "content-security-policy" or "frame-ancestors" in value:
        return header
    return (name, f"{value}; base-uri 'self'; form-action 'self'; frame-ancestors 'none'")
