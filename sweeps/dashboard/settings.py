"""What a person decides about the dashboard."""

from dataclasses import dataclass

from sweeps.dashboard.hosts import is_loopback


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

    def is_exposed(self, address: str) -> bool:
        """Whether others than this machine's users are to reach it.

        Args:
            address: what the host has turned out to be.
        """
        return (
            self.behind_tls
            or not is_loopback(address)
            or not all(is_loopback(name) for name in self.allowed_hosts)
        )
