"""The login and logout pages: each one file, with nothing loaded from anywhere."""

import base64
import hashlib
from html import escape
from importlib.resources import files
from string import Template

from sweeps.dashboard.replies import Reply

_FOLDER = files("sweeps.dashboard") / "page"
_STYLE = (_FOLDER / "page.css").read_text(encoding="utf-8")
_SCRIPT = (_FOLDER / "login.js").read_text(encoding="utf-8")


def login_page(status: str, wanted: str, problem: str = "", *headers: tuple[str, str]) -> Reply:
    """The form that asks for the token.

    Args:
        status: of the answer.
        wanted: the path to go on to.
        problem: what was wrong with the last attempt.
        headers: further headers.
    """
    alert = f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else ""
    return _page("login.html", status, _SCRIPT, headers, wanted=escape(wanted), problem=alert)


def logout_page() -> Reply:
    """Asks whether to log out: a link on a foreign page is not enough for it."""
    return _page("logout.html", "200 OK", "", ())


def _page(
    name: str, status: str, script: str, headers: tuple[tuple[str, str], ...], **values: str
) -> Reply:
    content = Template((_FOLDER / name).read_text(encoding="utf-8")).substitute(values)
    frame = Template((_FOLDER / "frame.html").read_text(encoding="utf-8"))
    body = frame.substitute(
        style=_STYLE, content=content, script=f"<script>{script}</script>" if script else ""
    )
    allowed_script = _source(script) if script else "'none'"
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src {_source(_STYLE)}",
            f"script-src {allowed_script}",
            "img-src data:",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )
    own = (("Content-Type", "text/html; charset=utf-8"), ("Content-Security-Policy", policy))
    return Reply(status, body.encode(), (*own, *headers))


def _source(text: str) -> str:
    """What a content security policy calls an inline script or style: its hash."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
