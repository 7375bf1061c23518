"""Device slots: on which device each worker runs, and with how many CPU threads.

PyTorch is imported late, because ``CUDA_VISIBLE_DEVICES`` counts only when it is set before that.
"""

import ctypes
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from sweeps.errors import SweepsError

_MAX_CPU_WORKERS = 4
_JOB_THREADS = 4
#: Files of the drivers of NVIDIA, of AMD, and of either under Windows' Linux.
_GPU_DRIVERS = [Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dxg")]
_CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
# Of mallopt(3).
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4


@dataclass(frozen=True)
class Slot:
    """A place for one worker.

    Attributes:
        device: ``cpu``, or ``cuda:N`` as this process counts its GPUs.
        threads: CPU threads for the worker.
        gpu_share: the part of the GPU that is the worker's; 0 on a CPU.
    """

    device: str
    threads: int
    gpu_share: float = 0.0


def available_cores() -> int:
    """Return the CPU cores that this process may use, within a container's limit on their time."""
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    try:
        quota, period = _CPU_LIMIT.read_text().split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):
        # There is no such limit, or it reads "max".
        return cores


def count_gpus() -> int:
    """Return how many GPUs, or MIG instances of GPUs, workers can have."""
    if not any(driver.exists() for driver in _GPU_DRIVERS):
        return 0  # Without importing torch, which takes seconds.
    import torch

    if not torch.cuda.is_available():
        return 0
    visible = _visible_gpus(os.environ) or []
    # A process sees no more than one MIG instance, even where it was given several.
    instances = sum(name.startswith("MIG-") for name in visible)
    return max(torch.cuda.device_count(), instances)


def plan_slots(
    devices: str, workers: int | None, workers_per_gpu: int, *, gpus: int, cores: int
) -> list[Slot]:
    """Plan the slots of a run on this machine.

    All cores are shared out, so that workers do not wait for each other's threads: two workers on
    two GPUs of a machine with 16 cores get 8 threads each.

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
    return [
        Slot(place, threads, 0.0 if place == "cpu" else 1 / places.count(place)) for place in places
    ]


def cluster_slots(
    nodes: Sequence[Mapping[str, float]], devices: str, workers: int | None, workers_per_gpu: int
) -> list[Slot]:
    """Plan slots for a Ray cluster; Ray itself decides where each is.

    Args:
        nodes: what each host has, as ``{"CPU": 64, "GPU": 8}``.
        devices: ``auto`` (GPUs where there are any), ``cpu`` or ``cuda``.
        workers: how many in all; ``None`` for ``workers_per_gpu`` on each GPU, or one per CPU.
        workers_per_gpu: how many share a GPU.

    Raises:
        SweepsError: the cluster has no such devices.
    """
    if devices not in ("auto", "cpu", "cuda"):
        raise SweepsError(f"--devices {devices}: Ray places the workers; use auto, cpu or cuda")
    gpu_nodes = [node for node in nodes if node.get("GPU", 0) >= 1]
    if devices == "cuda" and not gpu_nodes:
        raise SweepsError("--devices cuda: no host of the Ray cluster has a GPU; use cpu")
    if gpu_nodes and devices != "cpu":
        gpus = sum(int(node["GPU"]) for node in gpu_nodes)
        count = workers or gpus * workers_per_gpu
        sharing = max(workers_per_gpu, -(-count // gpus))
        threads = min(int(node.get("CPU", 1) // (int(node["GPU"]) * sharing)) for node in gpu_nodes)
        return [Slot("cuda:0", max(1, threads), 1 / sharing)] * count
    cpus = [int(node.get("CPU", 0)) for node in nodes]
    if not sum(cpus):
        raise SweepsError("the Ray cluster has no CPU to run a worker on")
    count = workers or sum(cpus)
    # The most threads with which all workers find room at the same time.
    threads = max(1, sum(cpus) // count)
    while threads > 1 and sum(cpu // threads for cpu in cpus) < count:
        threads -= 1
    return [Slot("cpu", threads)] * count


def job_slots(
    devices: str, workers: int | None, workers_per_gpu: int, settings: Mapping[str, Any]
) -> list[Slot]:
    """Plan a slot for each SLURM job.

    Args:
        devices: ``auto`` (a GPU where the settings ask for one), ``cpu`` or ``cuda``.
        workers: how many.
        workers_per_gpu: 1.
        settings: of the jobs.

    Raises:
        SweepsError: something does not fit.
    """
    if workers is None:
        raise SweepsError("--engine slurm: say how many jobs with --workers")
    if devices not in ("auto", "cpu", "cuda"):
        raise SweepsError(f"--devices {devices}: SLURM places the workers; use auto, cpu or cuda")
    if workers_per_gpu > 1:
        raise SweepsError(
            "--workers-per-gpu: a SLURM job is one worker; parts of a GPU are asked for by "
            "--slurm-setting gres=shard:1"
        )
    asked = any(settings.get(name) for name in ("gpus_per_node", "gpus_per_task", "gres"))
    threads = int(settings.get("cpus_per_task", _JOB_THREADS))
    if devices == "cuda" or (devices == "auto" and asked):
        return [Slot("cuda:0", threads, 1.0)] * workers
    return [Slot("cpu", threads)] * workers


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
    """Restrict this process to a device and some threads, before torch is imported.

    On a CPU it then keeps memory that it frees.

    Args:
        device: ``auto``, ``cpu``, or ``cuda:N`` as this process counts its GPUs.
        threads: CPU threads.

    Returns:
        The device to train on, as torch then counts: ``cpu`` or ``cuda``.

    Raises:
        SweepsError: the device is misspelt or does not exist.
    """
    if not re.fullmatch(r"auto|cpu|cuda:\d+", device):
        raise SweepsError(f"device {device!r}: name auto, cpu, or one GPU as in cuda:0")
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if device == "auto":
        device = "cuda" if count_gpus() else "cpu"
    else:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible_as(device, os.environ)
    if device == "cpu":
        _keep_freed_memory()
    if device in ("cpu", "cuda"):
        return device
    if count_gpus() != 1:
        raise SweepsError(f"device {device} does not exist here: torch sees no such GPU; use cpu")
    return "cuda"


def _keep_freed_memory() -> None:
    """Let glibc reuse freed memory instead of returning it to the system.

    A training step allocates the same large tensors again and again. By default each of them comes
    from the system, which clears it page by page: up to a third of a step.
    """
    # Other C libraries do not have it.
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def visible_as(device: str, environment: Mapping[str, str]) -> str:
    """Return the ``CUDA_VISIBLE_DEVICES`` of a process that shall see one device alone.

    Args:
        device: ``cpu``, or ``cuda:N`` as the process counts that has this environment.
        environment: where the variable may be set already: to numbers, or to names of GPUs
            (``GPU-...``) or of parts of them (``MIG-...``). With ``4,5,6``, ``cuda:1`` is ``5``.
    """
    if device == "cpu":
        return ""
    index = device.removeprefix("cuda:")
    visible = _visible_gpus(environment)
    if visible is None:
        return index
    # A GPU outside of what is visible stays invisible.
    return visible[int(index)] if int(index) < len(visible) else ""


def _visible_gpus(environment: Mapping[str, str]) -> list[str] | None:
    """Return the GPUs that the environment names; ``None`` where all are visible."""
    value = environment.get("CUDA_VISIBLE_DEVICES")
    if value is None:
        return None
    names = [name.strip() for name in value.split(",")]
    # CUDA reads up to the first that cannot be one; so an empty value shows none.
    return list(takewhile(lambda name: name and not name.startswith("-"), names))
