"""Engines: how the workers of a run are started, watched and stopped."""

from collections.abc import Callable, Sequence
from typing import Any

from sweeps.devices import Slot
from sweeps.engines.engine import Engine, WorkerExit, WorkerPlan
from sweeps.errors import SweepsError

#: The names that ``--engine`` takes.
ENGINES = ("local", "ray", "slurm")

__all__ = ["ENGINES", "Engine", "WorkerExit", "WorkerPlan", "make_engine"]


def make_engine(
    name: str,
    plan: WorkerPlan,
    slots: Sequence[Slot],
    say: Callable[[str], None],
    **settings: Any,
) -> Engine:
    """An engine by its name; what it needs is imported only here.

    Args:
        name: one of ``ENGINES``.
        plan: what the workers are to do.
        slots: a worker each.
        say: called with each line that a worker writes, from any thread.
        settings: what this engine takes beside that.

    Raises:
        SweepsError: its extra is not installed, or there is no such engine.
    """
    if name == "local":
        from sweeps.engines.local import LocalEngine

        return LocalEngine(plan, slots, say)
    raise SweepsError(f"--engine {name}: use one of {', '.join(ENGINES)}")
