"""optuna-dashboard on a storage, behind a guard: hosts, methods, origins, a token."""

from sweeps.dashboard.server import serve
from sweeps.dashboard.settings import Settings, checked_token, read_token

__all__ = ["Settings", "checked_token", "read_token", "serve"]
