"""Workers as actors of Ray, on this machine or on a cluster.

An actor does not train: it runs the same worker command as every engine does, on the GPU that Ray
gave it.
"""

import logging
import os
import queue
import secrets
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import floor
from typing import Any

import ray
from ray._private import ray_constants
from ray.exceptions import GetTimeoutError, RayActorError, RayError, RayTaskError

from sweeps.devices import Slot, cluster_slots, visible_as
from sweeps.engines.engine import WorkerExit, WorkerPlan
from sweeps.engines.process import KILL_SECONDS, WorkerProcess
from sweeps.errors import SweepsError

#: How often Ray starts a worker again, be it that the worker was killed or its host went away.
MAX_RESTARTS = 20

_LOOPBACK = "127.0.0.1"
_LINES_SECONDS = 5.0
_ROOM_SECONDS = 30.0
_LONGEST_TEMP = 24
_OBJECT_STORE_BYTES = 80 * 2**20


class WorkerKilled(Exception):
    """A worker was killed by a signal; Ray then calls :meth:`WorkerActor.run` again.

    Attributes:
        number: of the signal.
        last_words: the last line it wrote.
    """

    def __init__(self, number: int, last_words: str) -> None:
        super().__init__(number, last_words)
        self.number = number
        self.last_words = last_words


class WorkerActor:
    """Runs a worker on the device that Ray gave this actor.

    Each method runs in a thread of its own, at most four at a time.
    """

    def __init__(self, plan: WorkerPlan, name: str, slot: Slot) -> None:
        self._plan = plan
        self._name = name
        # Ray shows this process its own GPU alone.
        self._slot = replace(slot, device="cuda:0") if slot.gpu_share else slot
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._process: WorkerProcess | None = None
        self._stopping = False
        self._is_over = False

    @ray.method(max_task_retries=MAX_RESTARTS, retry_exceptions=[WorkerKilled])
    def run(self) -> tuple[int, str]:
        """Start the worker and wait for its end.

        Returns:
            Its exit status and its last words.

        Raises:
            WorkerKilled: it was killed by a signal, and nobody here had asked for its end.
        """
        with self._lock:
            if self._stopping:
                self._is_over = True
                return 0, ""
            command = self._plan.command(self._name, self._slot)
            process = WorkerProcess(command, self._plan.environment(), self._lines.put)
            self._process = process
        while (status := process.wait(_LINES_SECONDS)) is None:
            pass
        if status < 0 and not self._stopping:
            self._lines.put(f"was killed by signal {-status}; Ray starts it again")
            raise WorkerKilled(-status, process.last_words)
        self._is_over = True
        self._lines.put(None)
        return status, process.last_words

    def lines(self) -> list[str]:
        """What the worker has written since the last call; waits a little for the first line."""
        taken: list[str] = []
        try:
            line = self._lines.get(timeout=0 if self._is_over else _LINES_SECONDS)
            while line is not None:
                taken.append(line)
                line = self._lines.get_nowait()
        except queue.Empty:
            pass
        return taken

    def stop(self) -> None:
        """Ask the worker to stop."""
        with self._lock:
            asked, self._stopping = self._stopping, True
            if self._process is not None and not asked:
                self._process.stop()

    def kill(self) -> None:
        """End the worker at once and wait for that."""
        with self._lock:
            self._stopping = True
            if self._process is not None:
                self._process.kill()
                self._process.wait(KILL_SECONDS)


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
        self._seats = {f"worker-{i}": _Seat(f"worker-{i}", slot) for i, slot in enumerate(slots)}
        self._stopping = False
        self._told_of_room = False
        self._folder: str | None = None

    def start(self) -> None:
        """Connect to Ray, or start one, and make an actor for every slot.

        Raises:
            SweepsError: there is no Ray at the address.
        """
        if self._address is None:
            self._start_ray()
        else:
            connect(self._address)
        for name in self._seats:
            self.restart(name)

    def poll(self) -> list[WorkerExit]:
        """The workers that ended and are not started again by Ray."""
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
        self._stopping = True
        self._ask_to_stop()

    def kill(self) -> None:
        """End all workers at once, wait for them, and let go of Ray."""
        if not ray.is_initialized():
            return
        seats = [seat for seat in self._seats.values() if seat.run is not None]
        _wait([seat.actor.kill.remote() for seat in seats if _ready([seat.ready])], KILL_SECONDS)
        for seat in seats:
            ray.kill(seat.actor)
        _wait([seat.run for seat in seats], KILL_SECONDS)
        for seat in seats:
            # To look at what is left of a call would start another Ray.
            seat.run = seat.lines = None
        ray.shutdown()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def running(self) -> int:
        """Workers that have not ended, or not been told of by :meth:`poll`."""
        return sum(seat.run is not None for seat in self._seats.values())

    def _start_ray(self) -> None:
        """A Ray for this run alone."""
        devices = {seat.slot.device for seat in self._seats.values() if seat.slot.gpu_share}
        self._folder = _make_folder()
        environment = {
            **_QUIET,
            # Nobody else on this machine can give it work. Ray makes a token of its own otherwise,
            # and leaves it in the home folder.
            "RAY_AUTH_MODE": None,
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "CUDA_VISIBLE_DEVICES": visible_as(sorted(devices), os.environ),
        }
        with _environment(environment), _signals_kept(), _loopback():
            ray.init(
                address="local",
                num_cpus=sum(seat.slot.threads for seat in self._seats.values()),
                num_gpus=len(devices),
                object_store_memory=_OBJECT_STORE_BYTES,
                include_dashboard=False,
                _node_ip_address=_LOOPBACK,
                _temp_dir=self._folder,
                logging_level=logging.ERROR,
                log_to_driver=False,
            )
        if ray.util.get_node_ip_address() != _LOOPBACK:
            self.kill()
            raise SweepsError(
                f"--engine ray: Ray {ray.__version__} cannot be held to the loopback interface; "
                "start one yourself and name it by --ray-address"
            )

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
            elif seat.stop is None or _failed(seat.stop):
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
            if not isinstance(cause, WorkerKilled):
                raise
            status, words = -cause.number, cause.last_words
        except RayError as error:
            # The actor's end, and the reason as Ray tells it, of which the first line says most.
            status, words = -signal.SIGKILL, str(error).strip().splitlines()[0]
            if self._stopping:
                status = 0
        try:
            for line in ray.get(seat.lines, timeout=_LINES_SECONDS):
                self._say(f"{seat.name}: {line}")
        except (RayError, GetTimeoutError):
            pass
        ray.kill(seat.actor)
        seat.run = seat.lines = None
        return WorkerExit(seat.name, status, words)


def connect(address: str) -> None:
    """Join a Ray cluster, where that has not happened yet.

    Args:
        address: ``auto`` or ``HOST:PORT``.

    Raises:
        SweepsError: there is none.
    """
    if ray.is_initialized():
        return
    try:
        with _environment(_QUIET), _signals_kept():
            ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise SweepsError(f"--ray-address {address}: cannot join this Ray: {reason}") from None


def plan_cluster(
    address: str, devices: str, workers: int | None, workers_per_gpu: int
) -> list[Slot]:
    """Slots for what the Ray cluster at an address has now.

    Raises:
        SweepsError: there is no cluster, or it has no such devices.
    """
    connect(address)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return cluster_slots(nodes, devices, workers, workers_per_gpu)


def count_hosts() -> int:
    """Hosts of the Ray cluster that is connected to."""
    return len({node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]})


#: Nothing is sent to Ray's makers, and nothing about its own doings is printed.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def _make_folder() -> str:
    """A folder for what Ray writes, its sockets too, whose paths may have 107 characters."""
    folder = tempfile.gettempdir()
    return tempfile.mkdtemp(prefix="ray-", dir=folder if len(folder) <= _LONGEST_TEMP else "/tmp")


@contextmanager
def _environment(changes: Mapping[str, str | None]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    _set_environment(changes)
    try:
        yield
    finally:
        _set_environment(before)


def _set_environment(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def _loopback() -> Iterator[None]:
    """Let Ray listen on the loopback interface alone, and not on all, as it does on Linux.

    It does so by itself where it makes no clusters, as on macOS; whether it does is read from the
    environment when it is imported, which is over, so the constant is set that holds the answer.
    """
    name = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        with _environment({name: "0"}):
            yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Undo that ``ray.init`` takes SIGTERM for itself."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _ready(references: list[Any]) -> set[Any]:
    """Those of the references whose call is over, without waiting."""
    return _wait(references, 0)


def _wait(references: list[Any], seconds: float) -> set[Any]:
    if not references:
        return set()
    done, _ = ray.wait(references, num_returns=len(references), timeout=seconds, fetch_local=False)
    return set(done)


def _failed(reference: Any) -> bool:
    """Whether a call is over and did not reach its actor."""
    if not _ready([reference]):
        return False
    try:
        ray.get(reference)
    except RayError:
        return True
    return False
