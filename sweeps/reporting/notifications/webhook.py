"""Notifications by HTTP."""

import base64
import http.client
import json
import urllib.error
import urllib.request
from email.message import Message
from typing import IO, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from sweeps.reporting.notifications.channel import NotDelivered

_TRY_SECONDS = 5.0
# Discord refuses longer ones.
_LONGEST_CONTENT = 2000


class Webhook:
    """POSTs each notification as JSON.

    Its ``text`` is what Slack shows; ``content``, the same, is what Discord shows.

    Args:
        url: with http or https. A user and password in it are sent as basic authentication.

    Raises:
        ValueError: it is no such URL.
    """

    end_seconds = 5.0

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError as error:
            raise ValueError(f"it is not a URL: {error}") from None
        if parts.scheme not in ("http", "https"):
            raise ValueError("it has to begin with http:// or https://")
        if not parts.hostname:
            raise ValueError("it names no host")
        if any(character <= " " or character == "\x7f" for character in url):
            raise ValueError("it has blanks or control characters in it")
        server = parts.netloc.rpartition("@")[2]
        self._url = urlunsplit(parts._replace(netloc=server, fragment=""))
        self._headers = {"Content-Type": "application/json", "User-Agent": "sweeps"}
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            code = base64.b64encode(login.encode()).decode()
            self._headers["Authorization"] = f"Basic {code}"
        # The path of such a URL is often its secret.
        self.title = f"{parts.scheme}://{server}"
        self._opener = urllib.request.build_opener(_NoRedirects)

    def send(self, event: dict[str, Any]) -> None:
        body = {**event, "content": event["text"][:_LONGEST_CONTENT]}
        request = urllib.request.Request(
            self._url, json.dumps(body).encode(), self._headers, method="POST"
        )
        try:
            with self._opener.open(request, timeout=_TRY_SECONDS):
                return
        except urllib.error.HTTPError as error:
            with error:
                again = error.code >= 500 or error.code in (408, 429)
                raise NotDelivered(f"it answers {error.code} {error.reason}", again=again) from None
        except urllib.error.URLError as error:
            raise NotDelivered(_words(error.reason), again=True) from None
        except (OSError, http.client.HTTPException) as error:
            raise NotDelivered(_words(error), again=True) from None
        except ValueError as error:
            raise NotDelivered(_words(error), again=False) from None

    def cancel(self) -> None:
        # A try ends by itself.
        return


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses redirects: a POST that is sent elsewhere becomes a GET, and says nothing."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> None:
        return None


def _words(reason: object) -> str:
    if isinstance(reason, TimeoutError):
        return f"no answer within {_TRY_SECONDS:.0f} seconds"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return " ".join(str(reason).split()) or type(reason).__name__
