"""How the dashboard is served, and its token."""

from dataclasses import dataclass
from pathlib import Path

from sweeps.dashboard.hosts import is_loopback
from sweeps.errors import SweepsError

_SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class Settings:
    """How the dashboard is served.

    Attributes:
        host: the address or name to listen on.
        port: 0 takes a free one.
        token: what visitors need; None asks for nothing where only this machine reaches the
            dashboard, and generates a token elsewhere.
        writable: whether requests that change something are allowed.
        allowed_hosts: other names under which it is visited.
        behind_tls: whether a proxy that speaks TLS passes the requests on.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = None
    writable: bool = False
    allowed_hosts: tuple[str, ...] = ()
    behind_tls: bool = False

    def is_exposed(self, address: str) -> bool:
        """Whether anyone but this machine's users can reach it.

        Args:
            address: what the host resolved to.
        """
        return (
            self.behind_tls
            or not is_loopback(address)
            or not all(is_loopback(name) for name in self.allowed_hosts)
        )


def checked_token(text: str, source: str) -> str:
    """Check a token that a person chose.

    Args:
        text: the token.
        source: the option or file that it comes from, for the message.

    Raises:
        SweepsError: it is too short, or has characters that cannot be typed or sent.
    """
    if len(text) < _SHORTEST_TOKEN:
        raise SweepsError(
            f"{source}: a token of {len(text)} characters is too short; take {_SHORTEST_TOKEN} or "
            "more (openssl rand -hex 16 makes one)"
        )
    if not text.isprintable() or text != text.strip():
        raise SweepsError(
            f"{source}: a token is one line, without control characters or spaces around it"
        )
    return text


def read_token(path: Path) -> str:
    """Read the token in a file, without the white space around it.

    Raises:
        SweepsError: the file cannot be read, or holds no usable token.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SweepsError(f"--token-file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SweepsError(f"--token-file {path}: not UTF-8 text") from None
    return checked_token(text.strip(), f"--token-file {path}")
