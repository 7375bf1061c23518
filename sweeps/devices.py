"""Device slots: on which device each worker runs, and with how many CPU threads.

Nothing here imports torch before it must: ``CUDA_VISIBLE_DEVICES`` counts only when it is set
before that.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from sweeps.errors import SweepsError

_MAX_CPU_WORKERS = 4


@dataclass(frozen=True)
class Slot:
    """A place for one worker.

    Attributes:
        device: ``cpu``, or ``cuda:N`` as this process counts its GPUs.
        threads: CPU threads for the worker.
    """

    device: str
    threads: int


def available_cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def count_gpus() -> int:
    """GPUs that torch sees."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def plan_slots(
    devices: str, workers: int | None, workers_per_gpu: int, *, gpus: int, cores: int
) -> list[Slot]:
    """Place the workers of a run.

    Args:
        devices: ``auto`` (all GPUs, or else the CPU), ``cpu``, ``cuda`` (all GPUs), or some of
            them, ``cuda:0,1``.
        workers: how many in all; ``None`` for ``workers_per_gpu`` on each GPU, or one per core up
            to four on a CPU.
        workers_per_gpu: how many share a GPU.
        gpus, cores: what the machine has.

    Raises:
        SweepsError: a device is misspelt or does not exist.
    """
    chosen = _parse_devices(devices, gpus)
    if chosen == ["cpu"]:
        count = workers or min(cores, _MAX_CPU_WORKERS)
        places = ["cpu"] * count
    else:
        places = chosen * workers_per_gpu
        if workers is not None:
            places = [places[i % len(places)] for i in range(workers)]
    threads = max(1, cores // len(places))
    return [Slot(device=place, threads=threads) for place in places]


def _parse_devices(devices: str, gpus: int) -> list[str]:
    if devices == "auto":
        return [f"cuda:{index}" for index in range(gpus)] or ["cpu"]
    if devices == "cpu":
        return ["cpu"]
    if devices == "cuda" and gpus:
        return [f"cuda:{index}" for index in range(gpus)]
    if not re.fullmatch(r"cuda(:\d+(,\d+)*)?", devices):
        raise SweepsError(f"device {devices!r}: use auto, cpu, cuda, or some GPUs as in cuda:0,1")
    if not gpus:
        raise SweepsError(f"device {devices}: this machine has no GPU that torch sees; use cpu")
    indices = list(dict.fromkeys(int(i) for i in devices.removeprefix("cuda:").split(",")))
    missing = [index for index in indices if index >= gpus]
    if missing:
        raise SweepsError(
            f"device cuda:{missing[0]} does not exist: there are {gpus} GPUs, cuda:0 to "
            f"cuda:{gpus - 1}"
        )
    return [f"cuda:{index}" for index in indices]


def take_device(device: str, threads: int) -> str:
    """Restrict this process to a device and a number of threads, before torch is imported.

    Args:
        device: ``auto``, ``cpu``, or ``cuda:N`` as this process counts its GPUs.
        threads: CPU threads.

    Returns:
        The device to train on, as torch then counts: ``cpu`` or ``cuda``.

    Raises:
        SweepsError: the device is misspelt or does not exist.
    """
    if not re.fullmatch(r"auto|cpu|cuda:\d+", device):
        raise SweepsError(f"device {device!r}: a worker takes auto, cpu, or one GPU as in cuda:0")
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if device == "auto":
        return "cuda" if count_gpus() else "cpu"
    os.environ["CUDA_VISIBLE_DEVICES"] = _visible_as(device, os.environ)
    if device == "cpu":
        return "cpu"
    if count_gpus() != 1:
        raise SweepsError(f"device {device} does not exist on this machine")
    return "cuda"


def _visible_as(device: str, environment: Mapping[str, str]) -> str:
    """What ``CUDA_VISIBLE_DEVICES`` must be for a process that shall see one device alone."""
    if device == "cpu":
        return ""
    index = int(device.removeprefix("cuda:"))
    visible = [name for name in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    if not visible:
        return str(index)
    # A GPU outside of what is visible stays invisible.
    return visible[index] if index < len(visible) else ""
