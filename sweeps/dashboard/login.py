"""Who may come in: a token in a header, or a session that the login page began with one."""

import re
from enum import Enum, auto
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote

from sweeps.dashboard.attempts import Attempts
from sweeps.dashboard.pages import login_page, logout_page
from sweeps.dashboard.replies import Reply, reason, see_other
from sweeps.dashboard.sessions import LIFETIME_SECONDS, Sessions
from sweeps.dashboard.tokens import same

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

START = "/dashboard"
_LOGIN = "/login"
_LOGOUT = "/logout"
_LONGEST_FORM = 8192
# A path of this server: printable, and not the beginning of another host's address, as "//host"
# and, to a browser, "/\host" are.
_SAFE_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")


class Proof(Enum):
    """What a visitor showed."""

    TOKEN = auto()
    SESSION = auto()


class Login:
    """Asks for the token.

    Args:
        token: what a visitor has to know.
        cookie: the cookie's name; browsers share cookies between the ports of a host, so it has to
            differ from that of a dashboard beside this one.
        secure: whether the cookie travels through TLS alone.
        sessions: of those who are logged in.
        attempts: of those who are not.
    """

    def __init__(
        self,
        token: str,
        *,
        cookie: str,
        secure: bool,
        sessions: Sessions | None = None,
        attempts: Attempts | None = None,
    ) -> None:
        self._token = token.encode()
        self._cookie = cookie
        self._secure = secure
        self._sessions = sessions or Sessions()
        self._attempts = attempts or Attempts()

    def check(self, environ: "WSGIEnvironment") -> Proof | Reply:
        """What the visitor showed, or the answer to one who showed nothing that counts."""
        kind, _, given = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if kind.lower() == "bearer":
            wait = self._attempts.wait(_address(environ))
            if wait:
                return _unauthorized("429 Too Many Requests", wait)
            # A header comes as bytes that were read as Latin-1.
            if self._is_right(given.strip().encode("latin-1"), environ):
                return Proof.TOKEN
            return _unauthorized("401 Unauthorized")
        if self._session(environ) is not None:
            return Proof.SESSION
        if _is_page(environ):
            query = environ.get("QUERY_STRING", "")
            wanted = quote(environ["PATH_INFO"].encode("latin-1")) + (f"?{query}" if query else "")
            return see_other(f"{_LOGIN}?next={quote(wanted, safe='')}")
        return _unauthorized("401 Unauthorized")

    def serve(self, environ: "WSGIEnvironment") -> Reply | None:
        """The answer of the login and logout pages; None when another page is wanted."""
        path, posted = environ["PATH_INFO"], environ["REQUEST_METHOD"] == "POST"
        if path == _LOGIN:
            return self._log_in(environ) if posted else self._show_login(environ)
        if path == _LOGOUT:
            return self._log_out(environ, posted=posted)
        return None

    def _show_login(self, environ: "WSGIEnvironment") -> Reply:
        wanted = safe_path(_fields(environ.get("QUERY_STRING", "")).get("next", ""))
        if self._session(environ) is not None:
            return see_other(wanted)
        return login_page("200 OK", wanted)

    def _log_in(self, environ: "WSGIEnvironment") -> Reply:
        fields = _form(environ)
        wanted = safe_path(fields.get("next", ""))
        wait = self._attempts.wait(_address(environ))
        if wait:
            return _locked_page(wanted, wait)
        if not self._is_right(fields.get("token", "").strip().encode(), environ):
            wait = self._attempts.wait(_address(environ))
            if wait:
                return _locked_page(wanted, wait)
            return login_page(
                "401 Unauthorized",
                wanted,
                "This is not the token.",
                ("WWW-Authenticate", 'Bearer realm="sweeps"'),
            )
        return see_other(wanted, self._set_cookie(self._sessions.begin(), LIFETIME_SECONDS))

    def _log_out(self, environ: "WSGIEnvironment", *, posted: bool) -> Reply:
        session = self._session(environ)
        if session is not None:
            if not posted:
                return logout_page()
            self._sessions.end(session)
        return see_other(_LOGIN, self._set_cookie("", 0))

    def _is_right(self, given: bytes, environ: "WSGIEnvironment") -> bool:
        right = same(given, self._token)
        if not right:
            self._attempts.failed(_address(environ))
        return right

    def _session(self, environ: "WSGIEnvironment") -> str | None:
        # By hand: the standard library's parser gives up at another program's odd cookie.
        for part in environ.get("HTTP_COOKIE", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self._cookie and self._sessions.is_valid(value):
                return str(value)
        return None

    def _set_cookie(self, value: str, seconds: int) -> tuple[str, str]:
        cookie = f"{self._cookie}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict"
        return ("Set-Cookie", f"{cookie}; Secure" if self._secure else cookie)


def safe_path(wanted: str) -> str:
    """The page to go on to after logging in, if it is one of this server; else the first page."""
    if _SAFE_PATH.fullmatch(wanted) and wanted.partition("?")[0] not in (_LOGIN, _LOGOUT, "/"):
        return wanted
    return START


def _form(environ: "WSGIEnvironment") -> dict[str, str]:
    length = environ.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or int(length) > _LONGEST_FORM:
        return {}
    return _fields(environ["wsgi.input"].read(int(length)).decode("ascii", "replace"))


def _fields(text: str) -> dict[str, str]:
    try:
        parsed = parse_qs(text, max_num_fields=8, errors="replace")
    except ValueError:
        return {}
    return {name: values[0] for name, values in parsed.items()}


def _address(environ: "WSGIEnvironment") -> str:
    return str(environ.get("REMOTE_ADDR", ""))


def _is_page(environ: "WSGIEnvironment") -> bool:
    """Whether a browser would show the answer in its window."""
    first = environ["PATH_INFO"].split("/")[1]
    return environ["REQUEST_METHOD"] in ("GET", "HEAD") and first not in ("api", "static")


def _locked_page(wanted: str, wait: int) -> Reply:
    return login_page(
        "429 Too Many Requests",
        wanted,
        f"Too many wrong tokens. Try again in {wait} s.",
        ("Retry-After", str(wait)),
    )


def _unauthorized(status: str, wait: int = 0) -> Reply:
    if wait:
        message = f"too many wrong tokens from your address; wait {wait} s"
        return reason(status, message, ("Retry-After", str(wait)))
    message = "log in at /login, or send the header Authorization: Bearer TOKEN"
    return reason(status, message, ("WWW-Authenticate", 'Bearer realm="sweeps"'))
