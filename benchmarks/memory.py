"""Peak memory of a training step."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.workload import Workload


@dataclass(frozen=True)
class Peak:
    """Bytes of a step: alive at its start (input, parameters, buffers), and at most above that."""

    at_start: int
    above_start: int

    @property
    def total(self) -> int:
        """The step's footprint."""
        return self.at_start + self.above_start


def measure_peak(workload: Workload, device: torch.device) -> Peak:
    """Return the peak memory of one forward and backward pass, gradients of weights included.

    The workload has run before and holds no gradients: what a first step keeps is no step's.
    The gradient of the output is the next layer's and is not counted. On the CPU the allocations
    are those that torch's profiler reports: tensors, and the buffers for which oneDNN asks torch.
    What oneDNN or a thread pool takes from the system by itself is not seen. On CUDA it is what
    torch's caching allocator hands out, workspaces of cuDNN included.
    """
    measure = _above_start_on_cuda if device.type == "cuda" else _above_start_on_cpu
    with workload.setting():
        peak = Peak(workload.bytes_at_start, measure(workload))
    workload.clear()
    return peak


def _above_start_on_cpu(workload: Workload) -> int:
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        workload.step()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    allocations = [event for event in events if event.get("name") == "[memory]"]
    allocated = most = 0
    for event in sorted(allocations, key=lambda event: event["ts"]):
        allocated += event["args"]["Bytes"]
        most = max(most, allocated)
    return most


def _above_start_on_cuda(workload: Workload) -> int:
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    workload.step()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before
