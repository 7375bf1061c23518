"""What is said at the start: where the dashboard is, what it shows, and who can reach it."""

import getpass
import socket

from sweeps.dashboard.hosts import is_loopback, is_wildcard, normalised
from sweeps.dashboard.settings import Settings


def announcement(
    settings: Settings, address: str, port: int, location: str, made_up: str | None
) -> list[str]:
    """The lines to show.

    Args:
        settings: how it is served.
        address: what it listens on.
        port: what it listens on.
        location: the storage, without a password.
        made_up: the token, when nobody chose it.
    """
    local = is_loopback(address)
    base = f"http://{_in_url(_visited(settings.host, address))}:{port}/"
    lines = [f"Dashboard on {base} ({location}); Ctrl-C ends it"]
    if made_up is not None:
        public = f"https://{next(iter(settings.allowed_hosts), 'NAME')}/"
        where = public if settings.behind_tls else base
        lines.append(f"  Log in with {where}login#token={made_up}")
    if settings.writable:
        lines.append("  Writable: whoever gets in can edit notes, end trials and delete studies.")
    else:
        lines.append("  It only reads; --writable lets it change and delete.")
    has_token = settings.token is not None or made_up is not None
    lines.append(f"  Open to {_audience(settings, address, has_token=has_token)}.")
    tunnel = (
        f"ssh -L {port}:{_in_url(address) if local else '127.0.0.1'}:{port} "
        f"{_user()}@{socket.gethostname()}"
    )
    if settings.behind_tls:
        lines.append("  Plain HTTP, for the TLS proxy alone: keep others away from this port.")
    elif local:
        lines.append(
            f"  Plain HTTP, on this machine. From another one: {tunnel}, "
            f"then http://localhost:{port}/"
        )
    else:
        lines.append(
            "  Plain HTTP: who can listen on the network reads the token and the pages. Rather "
            f"leave out --host and use an SSH tunnel ({tunnel}), or a TLS proxy (--behind-tls)."
        )
    return lines


def _audience(settings: Settings, address: str, *, has_token: bool) -> str:
    if is_loopback(address) and not settings.behind_tls:
        where = "every user of this machine"
    elif settings.behind_tls:
        where = "everybody who reaches the proxy"
    elif is_wildcard(address):
        where = "every machine that reaches any address of this one"
    else:
        where = f"every machine that reaches {address}"
    return f"{where}, with the token" if has_token else f"{where}, without a login (see --token)"


def _visited(host: str, address: str) -> str:
    """The name to type into a browser."""
    return socket.gethostname() if is_wildcard(address) else host


def _in_url(host: str) -> str:
    host = normalised(host)
    return f"[{host}]" if ":" in host else host


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "USER"
