"""Engines: how the workers of a run are started, watched and stopped."""

from sweeps.engines.local import LocalEngine, WorkerExit

__all__ = ["LocalEngine", "WorkerExit"]
