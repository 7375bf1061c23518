"""Workers as processes of this machine, one for each device slot."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sweeps.engines.devices import Slot
from sweeps.engines.engine import WorkerExit, WorkerPlan
from sweeps.engines.process import KILL_SECONDS, WorkerProcess


@dataclass
class _Seat:
    name: str
    slot: Slot
    process: WorkerProcess | None = None


class LocalEngine:
    """Starts a worker process in every slot and keeps an eye on them.

    Args:
        plan: what the workers are to do.
        slots: a worker each.
        say: called with each line that a worker writes.
    """

    restarts_workers = False

    def __init__(self, plan: WorkerPlan, slots: Sequence[Slot], say: Callable[[str], None]) -> None:
        self._plan = plan
        self._say = say
        seats = [_Seat(plan.name(index), slot) for index, slot in enumerate(slots)]
        self._seats = {seat.name: seat for seat in seats}

    def start(self) -> None:
        """Start a worker in every slot."""
        for name in self._seats:
            self.restart(name)

    def poll(self) -> list[WorkerExit]:
        """The workers that ended since the last call; their slots are free."""
        exits = []
        for seat in self._seats.values():
            status = None if seat.process is None else seat.process.poll()
            if seat.process is not None and status is not None:
                exits.append(WorkerExit(seat.name, status, seat.process.last_words))
                seat.process = None
        return exits

    def restart(self, name: str) -> None:
        """Start a worker in its slot, which is free."""
        seat = self._seats[name]
        if seat.process is not None:
            raise ValueError(f"{name} still has its slot")
        seat.process = WorkerProcess(
            self._plan.command(name, seat.slot),
            self._plan.environment(),
            lambda line: self._say(f"{name}: {line}"),
        )

    def stop(self) -> None:
        """Ask all workers to stop: their trials are kept and queued again."""
        for seat in self._seats.values():
            if seat.process is not None:
                seat.process.stop()

    def kill(self) -> None:
        """End all workers at once, and wait for them."""
        processes = {s.name: s.process for s in self._seats.values() if s.process is not None}
        for process in processes.values():
            process.kill()
        deadline = time.monotonic() + KILL_SECONDS
        for name, process in processes.items():
            # The kernel may hold a process, as in an input from a network disk that hangs.
            if process.wait(deadline - time.monotonic()) is None:
                self._say(f"{name}: process {process.pid} was killed and does not end")
            self._seats[name].process = None

    @property
    def running(self) -> int:
        """Workers that have not ended, or not been told of by :meth:`poll`."""
        return sum(seat.process is not None for seat in self._seats.values())
