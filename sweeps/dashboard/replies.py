"""Answers that are made here, and not by optuna-dashboard."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


@dataclass(frozen=True)
class Reply:
    """A whole answer, as a WSGI application.

    Attributes:
        status: as in ``"403 Forbidden"``.
        body: what is sent; nothing for HEAD.
        headers: all but the length.
    """

    status: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        headers = list(self.headers)
        if not self.status.startswith("204"):
            headers.append(("Content-Length", str(len(self.body))))
        start_response(self.status, headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [self.body]


def text(status: str, message: str, *headers: tuple[str, str]) -> Reply:
    """A line of plain text."""
    kind = ("Content-Type", "text/plain; charset=utf-8")
    return Reply(status, f"{message}\n".encode(), (kind, *headers))


def reason(status: str, message: str, *headers: tuple[str, str]) -> Reply:
    """JSON as optuna-dashboard's own interface answers when it refuses."""
    body = json.dumps({"reason": message}).encode()
    return Reply(status, body, (("Content-Type", "application/json"), *headers))


def see_other(path: str, *headers: tuple[str, str]) -> Reply:
    """Send the browser to another page of this server."""
    return Reply("303 See Other", headers=(("Location", path), *headers))
