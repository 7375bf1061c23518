"""The first lines: where the dashboard is, what it shows, and who can reach it."""

import getpass
import socket

from sweeps.dashboard.hosts import is_loopback, is_wildcard, normalized
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
        made_up: the token, if it was generated.
    """
    local, everywhere = is_loopback(address), is_wildcard(address)
    base = f"http://{_in_url(socket.gethostname() if everywhere else settings.host)}:{port}/"
    through = f"{port}:{_in_url(address) if local else '127.0.0.1'}:{port}"
    tunnel = f"ssh -L {through} {_user()}@{socket.gethostname()}"
    if settings.behind_tls:
        audience = "everybody who reaches the proxy"
        how = ", for the TLS proxy alone: keep others away from this port."
    elif local:
        audience = "every user of this machine"
        how = f", on this machine. From another one: {tunnel}, then http://localhost:{port}/"
    else:
        reached = "any address of this one" if everywhere else address
        audience = f"every machine that reaches {reached}"
        how = (
            ": anyone listening on the network can read the token and the pages. Safer: no "
            f"--host and an SSH tunnel ({tunnel}), or a TLS proxy (--behind-tls)."
        )
    lines = [f"Dashboard on {base} ({location}); Ctrl-C ends it"]
    if made_up is not None:
        public = f"https://{next(iter(settings.allowed_hosts), 'NAME')}/"
        lines.append(f"  Log in with {public if settings.behind_tls else base}?token={made_up}")
    if settings.writable:
        lines.append("  Writable: every visitor can edit notes, end trials and delete studies.")
    else:
        lines.append("  It only reads; --writable lets it change and delete.")
    has_token = settings.token is not None or made_up is not None
    condition = "with the token" if has_token else "without a login (see --token)"
    lines.append(f"  Open to {audience}, {condition}.")
    lines.append(f"  Plain HTTP{how}")
    return lines


def _in_url(host: str) -> str:
    host = normalized(host)
    return f"[{host}]" if ":" in host else host


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "USER"
