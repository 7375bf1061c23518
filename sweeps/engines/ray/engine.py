"""Workers as actors of Ray, which places them and starts those again that die."""

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import floor
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayError, RayTaskError

from sweeps.engines.devices import Slot
from sweeps.engines.engine import WorkerExit, WorkerPlan
from sweeps.engines.ray.actor import MAX_RESTARTS, WorkerActor, WorkerKilled
from sweeps.engines.ray.cluster import connect, leave
from sweeps.engines.ray.own import OwnRay
from sweeps.errors import SweepsError

_ROOM_SECONDS = 30.0
#: How long to wait for the last lines of a worker, and for the ends of those that are killed. A Ray
#: that works answers at once; what is left of one that hangs ends with its processes.
_ANSWER_SECONDS = 1.0


@dataclass
class _Seat:
    name: str
    slot: Slot
    actor: Any = None
    ready: Any = None
    run: Any = None
    lines: Any = None
    stop: Any = None
    lost: bool = False
    since: float = 0.0


class RayEngine:
    """Starts an actor for every slot; Ray places them, and starts those again that die.

    Args:
        plan: what the workers are to do.
        slots: a worker each.
        say: called with each line that a worker writes.
        address: of a running cluster, ``auto`` or ``HOST:PORT``; ``None`` starts a Ray of our own
            on this machine, which ends with the engine and listens on the loopback interface.
    """

    restarts_workers = True

    def __init__(
        self,
        plan: WorkerPlan,
        slots: Sequence[Slot],
        say: Callable[[str], None],
        *,
        address: str | None = None,
    ) -> None:
        self._plan = plan
        self._say = say
        self._address = address
        seats = [_Seat(plan.name(index), slot) for index, slot in enumerate(slots)]
        self._seats = {seat.name: seat for seat in seats}
        self._stopping = False
        self._told_of_room = False
        self._own: OwnRay | None = None
        self._starting = False

    def start(self) -> None:
        """Connect to Ray and make an actor for every slot, or start a Ray, which takes a while.

        Raises:
            SweepsError: there is no Ray at the address, or none can be started.
        """
        if self._address is None:
            self._say("Starting a Ray on this machine, which ends with this run")
            self._own = OwnRay([seat.slot for seat in self._seats.values()])
            self._starting = True
        else:
            connect(self._address)
            self._fill_seats()

    def poll(self) -> list[WorkerExit]:
        """The workers that ended and are not started again by Ray.

        Raises:
            SweepsError: a Ray of our own cannot start, or has ended.
        """
        if self._own is not None and self._starting:
            if not self._own.is_ready():
                return []
            self._own.join()
            self._starting = False
            self._fill_seats()
        if self._own is not None and self._own.has_ended:
            raise SweepsError("--engine ray: Ray has ended; run it again to go on")
        self._pass_on_lines()
        if self._stopping:
            self._ask_to_stop()
        self._tell_of_room()
        taken = [seat for seat in self._seats.values() if seat.run is not None]
        done = _ready([seat.run for seat in taken])
        return [self._leave(seat) for seat in taken if seat.run in done]

    def restart(self, name: str) -> None:
        """Make an actor for a slot that is free."""
        seat = self._seats[name]
        if seat.run is not None:
            raise ValueError(f"{name} still has its slot")
        placed = ray.remote(WorkerActor).options(
            num_cpus=seat.slot.threads,
            # Ray counts in ten-thousandths; three thirds have to fit.
            num_gpus=floor(seat.slot.gpu_share * 10000) / 10000,
            max_restarts=MAX_RESTARTS,
            max_concurrency=4,
        )
        seat.actor = placed.remote(self._plan, name, seat.slot)
        seat.ready = seat.actor.__ray_ready__.remote()
        seat.run = seat.actor.run.remote()
        seat.lines = seat.actor.lines.remote()
        seat.stop, seat.lost, seat.since = None, False, time.monotonic()

    def stop(self) -> None:
        """Ask all workers to stop: their trials are kept and queued again."""
        self._stopping, self._starting = True, False
        self._ask_to_stop()

    def kill(self) -> None:
        """End all workers at once, wait for them, and let go of Ray."""
        self._starting = False
        seats = [seat for seat in self._seats.values() if seat.run is not None]
        if self._own is None:
            self._kill_workers(seats)
        for seat in seats:
            # To look at what is left of a call would start another Ray.
            seat.run = seat.lines = None
        if self._own is None:
            leave()
        else:
            self._own.end()
            self._own = None

    @property
    def running(self) -> int:
        """Workers that have not ended, or not been told of by :meth:`poll`."""
        if self._starting:
            return len(self._seats)
        return sum(seat.run is not None for seat in self._seats.values())

    def _kill_workers(self, seats: list[_Seat]) -> None:
        _wait([seat.actor.kill.remote() for seat in seats if _ready([seat.ready])], _ANSWER_SECONDS)
        for seat in seats:
            ray.kill(seat.actor)
        _wait([seat.run for seat in seats], _ANSWER_SECONDS)

    def _fill_seats(self) -> None:
        for name in self._seats:
            self.restart(name)

    def _pass_on_lines(self) -> None:
        seats = [seat for seat in self._seats.values() if seat.lines is not None]
        done = _ready([seat.lines for seat in seats])
        for seat in seats:
            if seat.lines not in done:
                continue
            try:
                for line in ray.get(seat.lines):
                    self._say(f"{seat.name}: {line}")
                seat.lost = False
            except RayActorError:
                if not seat.lost and not self._stopping:
                    self._say(f"{seat.name}: its Ray actor is gone; Ray starts it again")
                seat.lost = True
            seat.lines = seat.actor.lines.remote()

    def _ask_to_stop(self) -> None:
        for seat in self._seats.values():
            if seat.run is None:
                continue
            if not _ready([seat.ready]):
                # It has no place yet, so there is no trial to keep.
                ray.kill(seat.actor)
            elif seat.stop is None or _ready([seat.stop]):
                # Again and again: Ray may have made the actor anew, which then knows nothing of it.
                seat.stop = seat.actor.stop.remote()

    def _tell_of_room(self) -> None:
        taken = [seat for seat in self._seats.values() if seat.run is not None]
        placed = _ready([seat.ready for seat in taken])
        waiting = [seat for seat in taken if seat.ready not in placed]
        now = time.monotonic()
        if not self._told_of_room and any(now - seat.since > _ROOM_SECONDS for seat in waiting):
            self._say(f"{len(waiting)} of {len(taken)} workers wait for room in the Ray cluster")
            self._told_of_room = True

    def _leave(self, seat: _Seat) -> WorkerExit:
        """The end of a worker whose run is over."""
        try:
            status, words = ray.get(seat.run)
        except RayTaskError as error:
            cause = error.cause
            if isinstance(cause, WorkerKilled):
                status, words = -cause.number, cause.last_words
            else:
                status, words = 1, f"{type(cause).__name__}: {cause}"
        except RayError as error:
            # The actor's end, and the reason as Ray tells it, of which the first line says most.
            status, words = -signal.SIGKILL, str(error).strip().splitlines()[0]
            if self._stopping:
                status = 0
        try:
            for line in ray.get(seat.lines, timeout=_ANSWER_SECONDS):
                self._say(f"{seat.name}: {line}")
        except (RayError, GetTimeoutError):
            pass
        ray.kill(seat.actor)
        seat.run = seat.lines = None
        return WorkerExit(seat.name, status, words)


def _ready(references: list[Any]) -> set[Any]:
    """Those of the references whose call is over, without waiting."""
    return _wait(references, 0)


def _wait(references: list[Any], seconds: float) -> set[Any]:
    if not references:
        return set()
    done, _ = ray.wait(references, num_returns=len(references), timeout=seconds, fetch_local=False)
    return set(done)
