"""The Ray that workers run on: one of our own on this machine, or a cluster that is there."""

import json
import logging
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import ray
from ray._private import ray_constants
from ray._raylet import Config  # type: ignore[attr-defined]

from sweeps.devices import Slot, cluster_slots, visible_as
from sweeps.engines.ray.host import AT_ONCE, WORKER_VARIABLE
from sweeps.errors import SweepsError

_LOOPBACK = "127.0.0.1"
_LONGEST_TEMP = 24
_END_SECONDS = 3.0
#: Nothing is sent to Ray's makers, and nothing about its own doings is printed.
_QUIET: dict[str, str | None] = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


class OwnRay:
    """A Ray for one run alone: on this machine, on the loopback interface, for some slots.

    It belongs to a process of its own, :mod:`sweeps.engines.ray.host`, which ends it where this
    process is gone.

    Raises:
        SweepsError: it does not start, or cannot be held to the loopback interface.
    """

    def __init__(self, slots: Sequence[Slot]) -> None:
        self._folder = _make_folder()
        # Nobody else on this machine can give it work. Ray makes a token of its own otherwise, and
        # leaves it in the home folder.
        access = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        try:
            self._host = self._start_host(slots, access)
            address = self._read_address()
            with _environment(_QUIET | access), _signals_kept(), _loopback():
                # It has read its environment when it was imported.
                Config.initialize("")
                ray.init(
                    address=address,
                    _node_ip_address=_LOOPBACK,
                    logging_level=logging.ERROR,
                    log_to_driver=False,
                )
            if ray.util.get_node_ip_address() != _LOOPBACK:
                raise SweepsError(
                    f"--engine ray: Ray {ray.__version__} cannot be held to the loopback "
                    "interface; start one yourself and name it by --ray-address"
                )
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """Let go of it and end it, with all that it started."""
        ray.shutdown()
        try:
            self._host.communicate(AT_ONCE, timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._host.pid, signal.SIGKILL)
            self._host.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start_host(self, slots: Sequence[Slot], access: dict[str, str]) -> subprocess.Popen[str]:
        devices = {slot.device for slot in slots if slot.gpu_share}
        settings = {
            "cpus": sum(slot.threads for slot in slots),
            "gpus": len(devices),
            "ip_address": _LOOPBACK,
            "folder": self._folder,
        }
        environment = {
            "CUDA_VISIBLE_DEVICES": visible_as(sorted(devices), os.environ),
            ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR: "0",
            # Workers put their trials away when their actor goes; the host ends them after that.
            "RAY_kill_child_processes_on_worker_exit": "false",
            # Only workers have it.
            WORKER_VARIABLE: None,
        }
        with _environment(_QUIET | access | environment), self._errors.open("w") as errors:
            return subprocess.Popen(
                [sys.executable, "-m", "sweeps.engines.ray.host", json.dumps(settings)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                # Out of reach of a terminal's Ctrl-C.
                start_new_session=True,
            )

    def _read_address(self) -> str:
        assert self._host.stdout is not None
        line = self._host.stdout.readline()
        if not line:
            told = self._errors.read_text(errors="replace").strip().splitlines() or ["no reason"]
            raise SweepsError(f"--engine ray: Ray does not start here: {told[-1]}")
        return str(json.loads(line)["address"])

    @property
    def _errors(self) -> Path:
        return Path(self._folder) / "host.err"


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
