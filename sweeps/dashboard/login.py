"""Who is let in: programs by the token in a header, people by a session in a cookie."""

import hashlib
import hmac
import secrets
from importlib.resources import files
from typing import NoReturn
from urllib.parse import parse_qsl, quote, urlencode

from bottle import HTTPResponse, Request, SimpleTemplate
from itsdangerous import BadSignature, TimestampSigner

from sweeps.dashboard.answers import refusal

#: A working day: long enough to log in once in the morning.
LIFETIME_SECONDS = 12 * 3600

_SCHEME = 'Bearer realm="sweeps"'
_PAGE = SimpleTemplate((files("sweeps.dashboard") / "login.html").read_text(encoding="utf-8"))


class Login:
    """Lets in those who have the token.

    Args:
        token: what visitors need.
        cookie: the cookie's name; browsers share cookies between the ports of a host, so it has to
            differ from that of a dashboard beside this one.
        secure: whether the cookie travels through TLS alone.
    """

    def __init__(self, token: str, *, cookie: str, secure: bool) -> None:
        self._token = token.encode()
        self._cookie = cookie
        self._secure = secure
        # A new key at each start: sessions end with the server.
        self._signer = TimestampSigner(secrets.token_bytes(32), digest_method=hashlib.sha256)
        self._ended: set[str] = set()

    def check(self, request: Request) -> bool:
        """Let a visitor in, and return whether that was by a session's cookie.

        Raises:
            HTTPResponse: the answer to a visitor who is not let in, or who logs in or out.
        """
        session, is_page = self._session(request), _is_page(request)
        if is_page and "token" in request.query:
            self._follow_link(request, session)
        if request.path == "/login":
            self._log_in(request, session)
        if request.path == "/logout":
            self._log_out(request, session)
        kind, _, given = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if kind.lower() == "bearer":
            # A header comes as bytes that were read as Latin-1.
            if self._is_right(given.strip().encode("latin-1")):
                return False
        elif session is not None:
            return True
        elif is_page:
            raise _see_other(f"/login?next={quote(_address(request), safe='')}")
        raise refusal(
            request,
            401,
            "log in at /login, or send the header Authorization: Bearer TOKEN",
            WWW_Authenticate=_SCHEME,
        )

    def _follow_link(self, request: Request, session: str | None) -> NoReturn:
        """Log in with the token in the address, then redirect to the address without it."""
        wanted = _address(request)
        if self._is_right(request.query.token.encode()):
            answer = self._begin_session(wanted)
        elif session is not None:
            answer = _see_other(wanted)
        else:
            answer = _see_other(f"/login?wrong=1&next={quote(wanted, safe='')}")
        answer.set_header("Referrer-Policy", "no-referrer")
        raise answer

    def _log_in(self, request: Request, session: str | None) -> NoReturn:
        if request.method == "POST":
            wanted = _local(request.forms.next)
            if self._is_right(request.forms.token.strip().encode()):
                raise self._begin_session(wanted)
            raise _page(401, wanted, wrong=True)
        wanted = _local(request.query.next)
        if session is not None:
            raise _see_other(wanted)
        raise _page(200, wanted, wrong="wrong" in request.query)

    def _log_out(self, request: Request, session: str | None) -> NoReturn:
        """End the session, by POST alone: a link on another site's page must not do it."""
        if session is not None:
            if request.method != "POST":
                raise _page(200, leaving=True)
            self._ended.add(session)
        answer = _see_other("/login")
        answer.delete_cookie(self._cookie, path="/")
        raise answer

    def _is_right(self, given: bytes) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(given, self._token)

    def _begin_session(self, wanted: str) -> HTTPResponse:
        answer = _see_other(wanted)
        answer.set_cookie(
            self._cookie,
            self._signer.sign(secrets.token_urlsafe(16)).decode(),
            path="/",
            max_age=LIFETIME_SECONDS,
            httponly=True,
            secure=self._secure,
            # Not "strict": a link in a chat or a mail would end at the login page.
            samesite="lax",
        )
        return answer

    def _session(self, request: Request) -> str | None:
        """The visitor's session, if it began here and has not ended."""
        # By hand: the standard library's parser gives up at another program's malformed cookie.
        for part in request.environ.get("HTTP_COOKIE", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name != self._cookie:
                continue
            try:
                session = self._signer.unsign(value, max_age=LIFETIME_SECONDS).decode()
            except BadSignature:
                continue
            if session not in self._ended:
                return session
        return None


def _is_page(request: Request) -> bool:
    """Whether a browser would show the answer in its window."""
    first = request.path.split("/")[1]
    return request.method in ("GET", "HEAD") and first not in ("api", "static")


def _address(request: Request) -> str:
    """The requested address, without a token."""
    fields = parse_qsl(request.query_string, keep_blank_values=True)
    query = urlencode([(name, value) for name, value in fields if name != "token"])
    path = quote(request.environ["PATH_INFO"].encode("latin-1"))
    return _local(f"{path}?{query}" if query else path)


def _local(address: str) -> str:
    """The address as a path on this server: one slash, then nothing that browsers drop."""
    return "/" + quote(address, safe="/?&=%+:;,@!$'()*~").lstrip("/")


def _see_other(address: str) -> HTTPResponse:
    return HTTPResponse(status=303, Location=address)


def _page(
    status: int, wanted: str = "/", *, wrong: bool = False, leaving: bool = False
) -> HTTPResponse:
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    body = _PAGE.render(wanted=wanted, wrong=wrong, leaving=leaving, nonce=nonce)
    return HTTPResponse(body, status, Content_Security_Policy=policy, WWW_Authenticate=_SCHEME)
