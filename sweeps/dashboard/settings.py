"""What a person decides about the dashboard."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How the dashboard is served.

    Attributes:
        host: the address or name to listen on.
        port: 0 takes a free one.
        token: what a visitor has to know; None asks for nothing where only this machine reaches
            the dashboard, and makes up a token elsewhere.
        writable: whether requests that change something are let through.
        allowed_hosts: further names under which it is visited.
        behind_tls: whether a proxy that speaks TLS passes the requests on.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = None
    writable: bool = False
    allowed_hosts: tuple[str, ...] = ()
    behind_tls: bool = False
