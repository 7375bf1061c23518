"""optuna-dashboard on a storage, behind a guard: hosts, methods, origins, a token."""

from sweeps.dashboard.server import serve
from sweeps.dashboard.settings import Settings

__all__ = ["Settings", "serve"]
