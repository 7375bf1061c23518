"""Engines: how the workers of a run are started, watched and stopped."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from sweeps.engines.devices import (
    Slot,
    available_cores,
    cluster_slots,
    count_gpus,
    job_slots,
    plan_slots,
)
from sweeps.engines.engine import Engine, WorkerExit, WorkerPlan
from sweeps.errors import SweepsError

#: The names that ``--engine`` takes.
ENGINES = ("local", "ray", "slurm")

__all__ = ["ENGINES", "Engine", "WorkerExit", "WorkerPlan", "find_slots", "make_engine"]


def make_engine(name: str, plan: WorkerPlan, slots: Sequence[Slot], **settings: Any) -> Engine:
    """Make an engine by its name; it imports what it needs.

    Args:
        name: one of ``ENGINES``.
        plan: what the workers are to do.
        slots: one per worker, from :func:`find_slots`.
        settings: the engine's own. Local: ``server``. Ray: ``address``. SLURM: ``settings``,
            ``cluster``.
    """
    if name == "ray":
        from sweeps.engines.ray import RayEngine

        return RayEngine(plan, slots, **settings)
    if name == "slurm":
        from sweeps.engines.slurm import SlurmEngine

        return SlurmEngine(plan, slots, **settings)
    from sweeps.engines.local import LocalEngine

    return LocalEngine(plan, slots, **settings)


def find_slots(
    name: str,
    devices: str,
    workers: int | None,
    workers_per_gpu: int,
    *,
    storage_url: str,
    **settings: Any,
) -> list[Slot]:
    """Plan an engine's workers: on this machine, on a cluster's hosts, or in SLURM's jobs.

    Args:
        name: one of ``ENGINES``.
        devices, workers, workers_per_gpu: as a person asked for them.
        storage_url: where the study is, to be reached by every worker.
        settings: as for :func:`make_engine`.

    Raises:
        SweepsError: there is no such engine, its extra is not installed, there are no such devices,
            or workers cannot reach the storage.
    """
    if name not in ENGINES:
        raise SweepsError(f"--engine {name}: use one of {', '.join(ENGINES)}")
    if name == "ray":
        _check_extra("ray")
        from sweeps.engines.ray import connect, living_nodes

        connect(settings.get("address"))
        nodes = living_nodes()
        if len({node["NodeManagerHostname"] for node in nodes}) > 1:
            _check_shared(name, storage_url)
        resources = [node["Resources"] for node in nodes]
        return cluster_slots(resources, devices, workers, workers_per_gpu)
    if name == "slurm":
        _check_extra("slurm")
        if settings.get("cluster") != "local":
            _check_shared(name, storage_url)
        return job_slots(devices, workers, workers_per_gpu, settings.get("settings") or {})
    return plan_slots(devices, workers, workers_per_gpu, gpus=count_gpus(), cores=available_cores())


def _check_extra(name: str) -> None:
    module = {"ray": "ray", "slurm": "submitit"}[name]
    if find_spec(module) is None:
        raise SweepsError(f"--engine {name} needs the extra: pip install 'interpodil[{name}]'")


def _check_shared(name: str, storage_url: str) -> None:
    if "://" not in storage_url or storage_url.startswith("sqlite"):
        raise SweepsError(
            f"--engine {name}: workers on several hosts cannot share a SQLite file; "
            "use --storage postgresql://..."
        )
