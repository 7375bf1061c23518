"""Ray clusters: joining one, and what room it has."""

import atexit
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ray
from ray._private.worker import shutdown

from sweeps.engines.devices import Slot, cluster_slots
from sweeps.errors import SweepsError

#: Nothing is sent to Ray's makers, and nothing about its own doings is printed.
QUIET: Mapping[str, str | None] = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}

_LEAVE_SECONDS = 1.0
_KNOCK_SECONDS = 10.0


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
        _knock(os.environ.get("RAY_ADDRESS", address) if address == "auto" else address)
        join(address)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise SweepsError(
            f"--ray-address {address}: cannot join this Ray: {reason}; name one that runs, by "
            "HOST:PORT, or auto"
        ) from None


def join(address: str, **settings: Any) -> None:
    """Join a Ray cluster quietly, and leave the signals as they are.

    Raises:
        ConnectionError, RuntimeError, ValueError: there is none at the address.
    """
    with environment(QUIET), _signals_kept():
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, **settings)


def _knock(address: str) -> None:
    """See whether anything listens there; Ray itself tries for minutes, deaf to Ctrl-C.

    Raises:
        OSError: nothing does.
    """
    host, _, port = address.rpartition(":")
    if host and "/" not in host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS).close()


def leave() -> None:
    """Disconnect, which Ray itself does without a limit where the cluster does not answer."""
    leaving = threading.Thread(target=ray.shutdown, name="leave-ray", daemon=True)
    leaving.start()
    leaving.join(_LEAVE_SECONDS)
    if leaving.is_alive():
        # Python's end would wait for it too.
        atexit.unregister(shutdown)


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


@contextmanager
def environment(changes: Mapping[str, str | None]) -> Iterator[None]:
    """This process's environment, changed for a while; ``None`` takes a variable away."""
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
def _signals_kept() -> Iterator[None]:
    """Undo that ``ray.init`` takes SIGTERM for itself; one that comes meanwhile waits."""
    handler = signal.getsignal(signal.SIGTERM)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
