"""The Ray that workers run on: one of our own on this machine, or a cluster that is there."""

import logging
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import ray
from ray._private import ray_constants

from sweeps.devices import Slot, cluster_slots, visible_as
from sweeps.errors import SweepsError

_LOOPBACK = "127.0.0.1"
_LONGEST_TEMP = 24
_OBJECT_STORE_BYTES = 80 * 2**20
#: Nothing is sent to Ray's makers, and nothing about its own doings is printed.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def start_own(slots: Sequence[Slot]) -> str:
    """Start a Ray for one run alone: on this machine, on the loopback interface, for some slots.

    Returns:
        The folder of what it writes, for :func:`leave`.

    Raises:
        SweepsError: this Ray cannot be held to the loopback interface.
    """
    devices = {slot.device for slot in slots if slot.gpu_share}
    folder = _make_folder()
    environment = {
        **_QUIET,
        # Nobody else on this machine can give it work. Ray makes a token of its own otherwise, and
        # leaves it in the home folder.
        "RAY_AUTH_MODE": None,
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "CUDA_VISIBLE_DEVICES": visible_as(sorted(devices), os.environ),
    }
    with _environment(environment), _signals_kept(), _loopback():
        ray.init(
            address="local",
            num_cpus=sum(slot.threads for slot in slots),
            num_gpus=len(devices),
            object_store_memory=_OBJECT_STORE_BYTES,
            include_dashboard=False,
            _node_ip_address=_LOOPBACK,
            _temp_dir=folder,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    if ray.util.get_node_ip_address() != _LOOPBACK:
        leave(folder)
        raise SweepsError(
            f"--engine ray: Ray {ray.__version__} cannot be held to the loopback interface; "
            "start one yourself and name it by --ray-address"
        )
    return folder


def leave(folder: str | None) -> None:
    """Let go of Ray; one of our own ends.

    Args:
        folder: of one of our own; it is removed.
    """
    ray.shutdown()
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


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
