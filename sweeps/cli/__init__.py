"""The command ``sweeps``."""

from sweeps.cli.main import main

__all__ = ["main"]
