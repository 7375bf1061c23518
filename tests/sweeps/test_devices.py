"""Device slots: how workers are placed, and what they see."""

import os
import subprocess
import sys

import pytest

from sweeps.devices import plan_slots
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
        ("", "cuda:1", "1"),
        ("4,5,6", "cuda:1", "5"),
        ("GPU-aa,GPU-bb", "cuda:0", "GPU-aa"),
        ("4", "cuda:1", ""),
        ("0,1", "cpu", ""),
    ],
)
def test_a_worker_sees_its_own_gpu_alone_before_torch_is_imported(visible, device, expected):
    code = f"""
import os, sys
from sweeps import devices
assert "torch" not in sys.modules
def count():
    assert "torch" not in sys.modules
    return 1
devices.count_gpus = count
taken = devices.take_device({device!r}, threads=3)
print(os.environ["CUDA_VISIBLE_DEVICES"], os.environ["OMP_NUM_THREADS"], taken, sep="|")
"""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": visible}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    kind = "cpu" if device == "cpu" else "cuda"
    assert done.stdout.strip() == f"{expected}|3|{kind}"


def test_the_worker_command_imports_no_torch_before_it_has_its_device():
    code = "import sys, sweeps.cli.worker, sweeps.devices; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
