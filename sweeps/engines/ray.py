"""The Ray engine: an actor in a running Ray cluster for every slot, placed by Ray."""

import atexit
import logging
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import floor
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayError

from sweeps.engines.devices import Slot
from sweeps.engines.engine import WorkerExit, WorkerPlan
from sweeps.engines.process import KILL_SECONDS, WorkerProcess
from sweeps.errors import SweepsError

_KNOCK_SECONDS = 10.0
_LEAVE_SECONDS = 1.0
_ROOM_SECONDS = 30.0
#: How long to wait for the last lines of a worker, and for the ends of those that are killed.
#: A cluster that works answers at once.
_ANSWER_SECONDS = 1.0
_LINES_SECONDS = 5.0

_logger = logging.getLogger(__name__)


class WorkerActor:
    """Runs a worker on the device that Ray gave this actor.

    Its methods run in threads of their own, at most four at a time.
    """

    def __init__(self, plan: WorkerPlan, name: str, slot: Slot) -> None:
        # Ray shows this process its own GPU alone.
        slot = replace(slot, device="cuda:0") if slot.gpu_share else slot
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._process = WorkerProcess(plan.command(name, slot), plan.environment(), self._lines.put)

    def run(self) -> tuple[int, str]:
        """Wait for the worker's end; return its exit status and its last line."""
        while (status := self._process.wait(_LINES_SECONDS)) is None:
            pass
        self._lines.put(None)
        return status, self._process.last_line

    def lines(self) -> list[str]:
        """Return the worker's lines since the last call; wait a little for the first."""
        taken: list[str] = []
        try:
            line = self._lines.get(timeout=_LINES_SECONDS)
            while line is not None:
                taken.append(line)
                line = self._lines.get_nowait()
        except queue.Empty:
            pass
        return taken

    def stop(self) -> None:
        """Ask the worker to stop."""
        self._process.stop()

    def kill(self) -> None:
        """Kill the worker and wait for its end."""
        self._process.kill()
        self._process.wait(KILL_SECONDS)


@dataclass
class _Placed:
    """A worker's actor, and what its methods will return."""

    actor: Any
    ready: Any
    run: Any
    lines: Any
    since: float


class RayEngine:
    """Runs an actor for every slot; an :class:`sweeps.engines.Engine`.

    Args:
        plan: what the workers are to do.
        slots: one per worker.
        address: of a running cluster, ``auto`` or ``HOST:PORT``; ``None`` for ``RAY_ADDRESS``, or
            else the cluster that runs on this machine.
    """

    restarts_workers = False

    def __init__(
        self, plan: WorkerPlan, slots: Sequence[Slot], *, address: str | None = None
    ) -> None:
        self._plan = plan
        self._address = address
        self._slots = {plan.name(index): slot for index, slot in enumerate(slots)}
        self._placed: dict[str, _Placed] = {}
        self._is_stopping = False
        self._has_told_of_room = False

    def start(self) -> None:
        connect(self._address)
        for name in self._slots:
            self.restart(name)

    def poll(self) -> list[WorkerExit]:
        self._pass_on_lines()
        self._tell_of_room()
        done = _ready([placed.run for placed in self._placed.values()])
        ended = [name for name, placed in self._placed.items() if placed.run in done]
        return [self._collect(name, self._placed.pop(name)) for name in ended]

    def restart(self, name: str) -> None:
        slot = self._slots[name]
        options = ray.remote(WorkerActor).options(
            num_cpus=slot.threads,
            # Ray counts in ten-thousandths; three thirds have to fit.
            num_gpus=floor(slot.gpu_share * 10000) / 10000,
            max_concurrency=4,
        )
        actor: Any = options.remote(self._plan, name, slot)
        ready = actor.__ray_ready__.remote()
        self._placed[name] = _Placed(
            actor, ready, actor.run.remote(), actor.lines.remote(), time.monotonic()
        )

    def stop(self) -> None:
        self._is_stopping = True
        for placed in self._placed.values():
            if _ready([placed.ready]):
                placed.actor.stop.remote()
            else:
                # It waits for room, so there is no trial to checkpoint.
                ray.kill(placed.actor)

    def kill(self) -> None:
        placed = list(self._placed.values())
        # Looking at what is left of a call would start another Ray.
        self._placed.clear()
        if ray.is_initialized():
            _wait([p.actor.kill.remote() for p in placed if _ready([p.ready])], _ANSWER_SECONDS)
            for each in placed:
                ray.kill(each.actor)
            _wait([each.run for each in placed], _ANSWER_SECONDS)
        _disconnect()

    @property
    def running(self) -> int:
        return len(self._placed)

    def _pass_on_lines(self) -> None:
        done = _ready([placed.lines for placed in self._placed.values()])
        for name, placed in self._placed.items():
            if placed.lines in done:
                try:
                    for line in ray.get(placed.lines):
                        _logger.info("%s: %s", name, line)
                except RayActorError:
                    continue  # Its run tells of its end.
                placed.lines = placed.actor.lines.remote()

    def _tell_of_room(self) -> None:
        ready = _ready([placed.ready for placed in self._placed.values()])
        waiting = [placed for placed in self._placed.values() if placed.ready not in ready]
        now = time.monotonic()
        if not self._has_told_of_room and any(now - p.since > _ROOM_SECONDS for p in waiting):
            count = f"{len(waiting)} of {len(self._placed)}"
            _logger.info("%s workers wait for room in the Ray cluster", count)
            self._has_told_of_room = True

    def _collect(self, name: str, placed: _Placed) -> WorkerExit:
        """Return the exit of a worker whose run is over."""
        try:
            status, last_line = ray.get(placed.run)
        except RayError as error:
            # The actor is gone, with its host perhaps; the first line says why.
            status, last_line = -signal.SIGKILL, str(error).strip().splitlines()[0]
            if self._is_stopping:
                status = 0
        try:
            for line in ray.get(placed.lines, timeout=_ANSWER_SECONDS):
                _logger.info("%s: %s", name, line)
        except (RayError, GetTimeoutError):
            pass
        ray.kill(placed.actor)
        return WorkerExit(name, status, last_line)


def connect(address: str | None) -> None:
    """Join a Ray cluster, unless this process has joined one already.

    Args:
        address: ``auto`` or ``HOST:PORT``; ``None`` for ``RAY_ADDRESS``, or else ``auto``.

    Raises:
        SweepsError: there is no cluster at the address.
    """
    if ray.is_initialized():
        return
    address = address or os.environ.get("RAY_ADDRESS") or "auto"
    # Otherwise Ray warns of a change that does not concern workers, which name their devices.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Ray takes SIGTERM for itself: put the handler back, and let a signal wait until then.
    handler = signal.getsignal(signal.SIGTERM)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        _knock(address)
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise SweepsError(
            f"--ray-address {address}: cannot join this Ray: {reason}; start one with `ray start "
            "--head`, or name one that runs by HOST:PORT"
        ) from None
    finally:
        signal.signal(signal.SIGTERM, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def living_nodes() -> list[dict[str, Any]]:
    """Return Ray's records of the living nodes of the cluster that this process has joined."""
    return [node for node in ray.nodes() if node["Alive"]]


def _knock(address: str) -> None:
    """Try to reach the address: Ray itself tries for minutes, deaf to Ctrl-C.

    Raises:
        OSError: nothing listens there.
    """
    host, _, port = address.rpartition(":")
    if host and "/" not in host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS).close()


def _disconnect() -> None:
    """Leave the cluster, within a second even where it does not answer."""
    leaving = threading.Thread(target=ray.shutdown, name="leave-ray", daemon=True)
    leaving.start()
    leaving.join(_LEAVE_SECONDS)
    if leaving.is_alive():
        # The interpreter's exit would wait for it again.
        atexit.unregister(ray.shutdown)


def _ready(references: list[Any]) -> set[Any]:
    """Return those of the references whose call is over, without waiting."""
    return _wait(references, 0)


def _wait(references: list[Any], seconds: float) -> set[Any]:
    if not references:
        return set()
    done, _ = ray.wait(references, num_returns=len(references), timeout=seconds, fetch_local=False)
    return set(done)
