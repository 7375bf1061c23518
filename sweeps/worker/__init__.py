"""A worker: one process that claims trials, runs their objective and ends them."""

from sweeps.worker.context import Objective, TrialContext

__all__ = ["Objective", "TrialContext"]
