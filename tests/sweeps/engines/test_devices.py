"""Device slots: how workers are placed, and what they see."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sweeps.engines import devices as module
from sweeps.engines.devices import Slot, cluster_slots, job_slots, plan_slots, visible_as
from sweeps.errors import SweepsError


@pytest.mark.parametrize(
    ("devices", "workers", "per_gpu", "gpus", "cores", "expected"),
    [
        ("auto", None, 1, 0, 2, ["cpu:1", "cpu:1"]),
        ("auto", None, 1, 0, 1, ["cpu:1"]),
        ("auto", None, 1, 0, 16, ["cpu:4"] * 4),
        ("auto", 3, 1, 0, 2, ["cpu:1"] * 3),
        ("auto", None, 1, 2, 16, ["cuda:0:8", "cuda:1:8"]),
        ("auto", None, 2, 2, 16, ["cuda:0:4", "cuda:1:4", "cuda:0:4", "cuda:1:4"]),
        ("cpu", 2, 1, 8, 16, ["cpu:8", "cpu:8"]),
        ("cuda", None, 1, 3, 3, ["cuda:0:1", "cuda:1:1", "cuda:2:1"]),
        ("cuda:0,2", None, 1, 3, 8, ["cuda:0:4", "cuda:2:4"]),
        ("cuda:1,1", 3, 1, 2, 3, ["cuda:1:1"] * 3),
    ],
)
def test_placing_workers(devices, workers, per_gpu, gpus, cores, expected):
    slots = plan_slots(devices, workers, per_gpu, gpus=gpus, cores=cores)
    assert [f"{slot.device}:{slot.threads}" for slot in slots] == expected


@pytest.mark.parametrize(
    ("devices", "workers", "per_gpu", "shares"),
    [
        ("cpu", 2, 1, [0, 0]),
        ("cuda", None, 1, [1, 1]),
        ("cuda", None, 2, [1 / 2] * 4),
        ("cuda", 3, 2, [1 / 2, 1, 1 / 2]),
        ("cuda:1", 3, 1, [1 / 3] * 3),
    ],
)
def test_the_shares_of_a_gpu_are_those_of_the_workers_on_it(devices, workers, per_gpu, shares):
    slots = plan_slots(devices, workers, per_gpu, gpus=2, cores=8)
    assert [slot.gpu_share for slot in slots] == shares


BIG = {"CPU": 64.0, "GPU": 8.0}


@pytest.mark.parametrize(
    ("nodes", "devices", "workers", "per_gpu", "expected"),
    [
        ([BIG] * 8, "auto", None, 1, [Slot("cuda:0", 8, 1.0)] * 64),
        ([BIG] * 2, "cuda", None, 2, [Slot("cuda:0", 4, 0.5)] * 32),
        ([BIG], "auto", 4, 1, [Slot("cuda:0", 8, 1.0)] * 4),
        ([BIG], "auto", 12, 1, [Slot("cuda:0", 4, 0.5)] * 12),
        # A host with fewer cores to a GPU decides, as Ray may place any worker on any host.
        ([BIG, {"CPU": 8.0, "GPU": 4.0}], "auto", None, 1, [Slot("cuda:0", 2, 1.0)] * 12),
        ([{"CPU": 1.0, "GPU": 4.0}], "auto", None, 1, [Slot("cuda:0", 1, 1.0)] * 4),
        ([BIG, {"CPU": 2.0}], "cpu", None, 1, [Slot("cpu", 1)] * 66),
        ([{"CPU": 4.0}, {"CPU": 4.0}], "auto", 2, 1, [Slot("cpu", 4)] * 2),
        ([{"CPU": 4.0}, {"CPU": 4.0}], "auto", 3, 1, [Slot("cpu", 2)] * 3),
        ([{"CPU": 3.0}, {"CPU": 3.0}], "auto", 4, 1, [Slot("cpu", 1)] * 4),
    ],
)
def test_placing_workers_in_a_ray_cluster(nodes, devices, workers, per_gpu, expected):
    assert cluster_slots(nodes, devices, workers, per_gpu) == expected


@pytest.mark.parametrize(
    ("nodes", "devices", "message"),
    [
        ([BIG], "cuda:0,1", "--devices cuda:0,1: Ray places the workers; use auto, cpu or cuda"),
        ([{"CPU": 4.0}], "cuda", "no host of the Ray cluster has a GPU; use cpu"),
        ([{}], "auto", "the Ray cluster has no CPU"),
    ],
)
def test_what_a_ray_cluster_does_not_have_is_refused(nodes, devices, message):
    with pytest.raises(SweepsError, match=message):
        cluster_slots(nodes, devices, None, 1)


@pytest.mark.parametrize(
    ("devices", "settings", "expected"),
    [
        ("auto", {}, Slot("cpu", 4)),
        ("auto", {"cpus_per_task": 2}, Slot("cpu", 2)),
        ("auto", {"gpus_per_node": 1, "cpus_per_task": 8}, Slot("cuda:0", 8, 1.0)),
        ("auto", {"gres": "shard:1"}, Slot("cuda:0", 4, 1.0)),
        ("auto", {"gpus_per_node": 0}, Slot("cpu", 4)),
        ("cuda", {}, Slot("cuda:0", 4, 1.0)),
        ("cpu", {"gpus_per_node": 1}, Slot("cpu", 4)),
    ],
)
def test_a_slurm_job_is_a_slot(devices, settings, expected):
    assert job_slots(devices, 3, 1, settings) == [expected] * 3


@pytest.mark.parametrize(
    ("devices", "workers", "per_gpu", "message"),
    [
        ("auto", None, 1, "--engine slurm: say how many jobs with --workers"),
        ("cuda:0", 1, 1, "--devices cuda:0: SLURM places the workers"),
        ("cuda", 1, 2, "--workers-per-gpu: a SLURM job is one worker"),
    ],
)
def test_what_a_slurm_job_cannot_be_is_refused(devices, workers, per_gpu, message):
    with pytest.raises(SweepsError, match=message):
        job_slots(devices, workers, per_gpu, {})


@pytest.mark.parametrize(
    ("limit", "cores"),
    [("400000 100000", 4), ("150000 100000", 1), ("50000 100000", 1), ("max 100000", 8), (None, 8)],
)
def test_a_container_s_limit_on_its_time_counts_as_cores(monkeypatch, tmp_path, limit, cores):
    path = tmp_path / "cpu.max"
    if limit is not None:
        path.write_text(limit + "\n")
    monkeypatch.setattr(module, "_CPU_LIMIT", path)
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda _: set(range(8)))
    assert module.available_cores() == cores


@pytest.mark.parametrize(
    ("visible", "seen", "count"),
    [
        (None, 8, 8),
        ("0,1", 2, 2),
        # CUDA shows a process no more than one part of a GPU.
        ("MIG-aa,MIG-bb,MIG-cc", 1, 3),
        ("", 0, 0),
    ],
)
def test_parts_of_gpus_count_as_gpus(monkeypatch, visible, seen, count):
    cuda = SimpleNamespace(is_available=lambda: seen > 0, device_count=lambda: seen)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    monkeypatch.setattr(module, "_GPU_DRIVERS", [Path("/")])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert module.count_gpus() == count


@pytest.mark.parametrize(
    ("visible", "chosen", "expected"),
    [
        (None, "cuda:2", "2"),
        ("4,5,6", "cuda:2", "6"),
        (" 4 , 5 ", "cuda:1", "5"),
        # CUDA reads up to the first that it cannot have.
        ("4,-1,5", "cuda:0", "4"),
        ("4,-1,5", "cuda:1", ""),
        ("", "cuda:0", ""),
        ("MIG-aa,MIG-bb", "cuda:1", "MIG-bb"),
        ("GPU-aa,GPU-bb", "cuda:0", "GPU-aa"),
        (None, "cpu", ""),
    ],
)
def test_which_gpus_a_process_is_shown(visible, chosen, expected):
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert visible_as(chosen, environment) == expected


@pytest.mark.parametrize(
    ("devices", "gpus", "message"),
    [
        ("cuda:0", 0, "no GPU that torch sees"),
        ("cuda", 0, "no GPU that torch sees"),
        ("cuda:0,5", 2, "cuda:5 does not exist: there are 2 GPUs, cuda:0 to cuda:1"),
        ("gpu", 1, "device 'gpu': use auto, cpu, cuda"),
        ("cuda:", 1, "device 'cuda:': use auto"),
    ],
)
def test_devices_that_do_not_exist_are_refused(devices, gpus, message):
    with pytest.raises(SweepsError, match=message):
        plan_slots(devices, None, 1, gpus=gpus, cores=4)


@pytest.mark.parametrize(
    ("visible", "device", "expected"),
    [
        ("4,5,6", "cuda:1", "5"),
        ("0,1", "cpu", ""),
    ],
)
def test_a_worker_sees_its_own_gpu_alone_before_torch_is_imported(visible, device, expected):
    code = f"""
import os, sys
from sweeps.engines import devices
assert "torch" not in sys.modules
def count():
    assert "torch" not in sys.modules
    return 1
devices.count_gpus = count
taken = devices.take_device({device!r}, threads=3)
print(os.environ["CUDA_VISIBLE_DEVICES"], os.environ["OMP_NUM_THREADS"], taken, sep="|")
"""
    environment = dict(os.environ)
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    if visible is not None:
        environment["CUDA_VISIBLE_DEVICES"] = visible
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    kind = "cpu" if device == "cpu" else "cuda"
    assert done.stdout.strip() == f"{expected}|3|{kind}"


def test_the_worker_command_imports_no_torch_before_it_has_its_device():
    code = "import sys, sweeps.cli.worker, sweeps.engines.devices; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_a_driver_there_is_no_gpu_and_torch_is_not_imported(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(module, "_GPU_DRIVERS", [tmp_path / "nvidiactl"])
    assert module.count_gpus() == 0
