"""Device slots: on which device each worker runs, and with how many CPU threads.

Nothing here imports torch before it must: ``CUDA_VISIBLE_DEVICES`` counts only when it is set
before that.
"""

import os
import re
from collections.abc import MutableMapping
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


def slot_environment(slot: Slot, environment: MutableMapping[str, str]) -> dict[str, str]:
    """The environment variables for a worker in a slot: its GPU alone, and its threads.

    The worker's device is then ``cuda:0`` (see :func:`worker_device`).
    """
    result = dict(environment)
    result["OMP_NUM_THREADS"] = str(slot.threads)
    if slot.device == "cpu":
        result["CUDA_VISIBLE_DEVICES"] = ""
        return result
    index = int(slot.device.removeprefix("cuda:"))
    visible = [name for name in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    result["CUDA_VISIBLE_DEVICES"] = visible[index] if visible else str(index)
    return result


def worker_device(slot: Slot) -> str:
    """The device a worker trains on, once :func:`slot_environment` is in force."""
    return "cpu" if slot.device == "cpu" else "cuda"
