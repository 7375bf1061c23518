"""Times and peak memory of several ways to compute a layer.

All of them are timed in turn, round after round, so that they see the same machine.
"""

import gc
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

PLAIN = "plain"
FORWARD = "forward"
STEP = "forward+backward"
MODES = (FORWARD, STEP)
# Peak memory of a step, and the part of it that is not alive when the step starts.
MEMORY = "memory"
MEMORY_ABOVE_START = "memory_above_start"

MEMORY_FORMATS = {
    "channels_last": torch.channels_last,
    "contiguous": torch.contiguous_format,
}

# Milliseconds by mode, candidate and round.
Times = dict[str, dict[str, dict[int, float]]]

SAMPLE_MS = 20.0
MOST_CALLS = 20
LONG_CALL_MS = 10 * SAMPLE_MS


@dataclass(frozen=True)
class Candidate:
    """One way to compute a layer.

    Attributes:
        name: what tables and files call it.
        build: makes the layer for a shape, on the CPU in float32.
        every: it is measured in every so many-th round.
        setting: makes the context that it runs in, outside the clock.
    """

    name: str
    build: Callable[[Any], nn.Module]
    every: int = 1
    setting: Callable[[], AbstractContextManager[None]] = nullcontext


@dataclass
class Workload:
    """A layer, its input and the gradient that the next layer would hand back.

    Input and gradient are shared by all candidates of a shape; ``setting`` and ``every`` are the
    candidate's.
    """

    layer: nn.Module
    input: Tensor
    output_gradient: Tensor
    setting: Callable[[], AbstractContextManager[None]] = nullcontext
    every: int = 1

    def run(self, mode: str) -> None:
        """Run a forward pass as at inference, or the forward and backward pass of a step."""
        if mode == FORWARD:
            with torch.no_grad():
                self.layer(self.input)
        else:
            self.layer(self.input).backward(self.output_gradient)

    def clear(self) -> None:
        """Drop the gradients of the last step."""
        self.layer.zero_grad(set_to_none=True)
        self.input.grad = None


@dataclass(frozen=True)
class Peak:
    """Bytes of a step: alive at its start (input, parameters, buffers), and at most above that."""

    at_start: int
    above_start: int

    @property
    def total(self) -> int:
        """The step's footprint."""
        return self.at_start + self.above_start


@dataclass(frozen=True)
class Measurement:
    """What was measured on one shape.

    Attributes:
        shape: a frozen dataclass with ``input_size``, the size of the input's every axis, and
            ``is_first_layer``, whether the input needs no gradient; its ``str`` is its label.
        memory_format: a key of ``MEMORY_FORMATS``.
        times: milliseconds by mode, candidate and round.
        calls: calls a sample, by mode and candidate.
        peaks: peak memory of a step, by candidate.
    """

    shape: Any
    memory_format: str
    times: Times
    calls: dict[str, dict[str, int]]
    peaks: dict[str, Peak]

    def amount(self, figure: str, name: str = PLAIN) -> float:
        """Return a candidate's figure: median milliseconds of a mode, or bytes of memory."""
        if figure in MODES:
            return statistics.median(self.times[figure][name].values())
        peak = self.peaks[name]
        return peak.total if figure == MEMORY else peak.above_start

    def ratio(self, figure: str, name: str, other: str = PLAIN) -> float:
        """Return a candidate's figure over another's; of times see :func:`time_ratio`."""
        if figure in MODES:
            return time_ratio(self.times[figure][name], self.times[figure][other])
        return self.amount(figure, name) / self.amount(figure, other)


def make_workloads(
    candidates: list[Candidate], shape: Any, memory_format: str, device: str, dtype: str
) -> dict[str, Workload]:
    """Build the layers, the plain one among them, around one input and one output gradient."""
    torch.manual_seed(0)
    layout = MEMORY_FORMATS[memory_format]
    if layout is torch.channels_last and len(shape.input_size) == 5:
        layout = torch.channels_last_3d
    place: dict[str, Any] = {"device": device, "dtype": getattr(torch, dtype)}
    layers = {
        candidate.name: candidate.build(shape).to(**place).to(memory_format=layout)
        for candidate in candidates
    }
    input = torch.randn(shape.input_size, **place).contiguous(memory_format=layout)
    input.requires_grad_(not shape.is_first_layer)
    with torch.no_grad():
        output = layers[PLAIN](input)
    gradient = torch.randn_like(output).contiguous(memory_format=layout)
    return {
        candidate.name: Workload(
            layers[candidate.name], input, gradient, candidate.setting, candidate.every
        )
        for candidate in candidates
    }


def measure(
    workloads: Mapping[str, Workload],
    shape: Any,
    memory_format: str,
    rounds: int,
    one_call: bool = False,
) -> Measurement:
    """Measure a shape's workloads; see :func:`measure_times` and :func:`measure_peak`."""
    times, calls = measure_times(workloads, rounds, one_call)
    peaks = {name: measure_peak(workload) for name, workload in workloads.items()}
    return Measurement(shape, memory_format, times, calls, peaks)


def measure_times(
    workloads: Mapping[str, Workload], rounds: int, one_call: bool = False
) -> tuple[Times, dict[str, dict[str, int]]]:
    """Time every candidate in every round that it takes part in.

    A round goes over the candidates once, in an order that is rotated by one each round. A
    warm-up round that counts nothing comes first; from it follows how many calls a sample takes,
    so that a sample lasts about ``SAMPLE_MS``. A time is a sample's mean over its calls.

    Args:
        workloads: each candidate's workload, by its name.
        rounds: rounds after the warm-up.
        one_call: take one call a sample, whatever it lasts.

    Returns:
        the times, and the calls a sample by mode and candidate.
    """
    times: Times = {mode: {name: {} for name in workloads} for mode in MODES}
    calls: dict[str, dict[str, int]] = {mode: {} for mode in MODES}
    for name, workload in workloads.items():
        for mode in MODES:
            once = _sample(workload, mode, 1)
            # The first call may plan and allocate, so a short one says little about the next.
            if once < LONG_CALL_MS and not one_call:
                once = _sample(workload, mode, 1)
            wanted = 1 if one_call else math.ceil(SAMPLE_MS / max(once, 1e-6))
            calls[mode][name] = min(wanted, MOST_CALLS)
    names = list(workloads)
    gc.collect()
    gc.disable()
    try:
        for number in range(rounds):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                if number % workloads[name].every:
                    continue
                for mode in MODES:
                    times[mode][name][number] = _sample(workloads[name], mode, calls[mode][name])
    finally:
        gc.enable()
    return times, calls


def time_ratio(times: Mapping[int, float], others: Mapping[int, float]) -> float:
    """Return the median, over the rounds that both took part in, of the quotient of their times.

    The quotient is taken within a round, so what slows the machine for a while slows both.
    """
    return statistics.median(times[number] / others[number] for number in times.keys() & others)


def _sample(workload: Workload, mode: str, calls: int) -> float:
    """Return the mean milliseconds of some calls; gradients are cleared outside the clock."""
    timed = _timed_on_cuda if workload.input.device.type == "cuda" else _timed_on_cpu
    with workload.setting():
        return timed(workload, mode, calls)


def _timed_on_cpu(workload: Workload, mode: str, calls: int) -> float:
    seconds = 0.0
    for _ in range(calls):
        start = time.perf_counter()
        workload.run(mode)
        seconds += time.perf_counter() - start
        workload.clear()
    return seconds * 1000 / calls


def _timed_on_cuda(workload: Workload, mode: str, calls: int) -> float:
    """Time by events on the stream: the device's time, with the gaps that late launches leave."""
    spans = [
        (torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True))
        for _ in range(calls)
    ]
    torch.cuda.synchronize()
    for start, end in spans:
        start.record()
        workload.run(mode)
        end.record()
        workload.clear()
    torch.cuda.synchronize()
    return sum(start.elapsed_time(end) for start, end in spans) / calls


def measure_peak(workload: Workload) -> Peak:
    """Return the peak memory of one forward and backward pass, gradients of weights included.

    The workload has run before and holds no gradients: what a first step keeps is no step's.
    The gradient of the output is the next layer's and is not counted. On the CPU the allocations
    are those that torch's profiler reports: tensors, and the buffers for which oneDNN asks torch.
    What oneDNN or a thread pool takes from the system by itself is not seen. On CUDA it is what
    torch's caching allocator hands out, workspaces of cuDNN included.
    """
    tensors = [workload.input, *workload.layer.parameters(), *workload.layer.buffers()]
    at_start = sum(tensor.nbytes for tensor in tensors)
    cuda = workload.input.device.type == "cuda"
    with workload.setting():
        above_start = _above_start_on_cuda(workload) if cuda else _above_start_on_cpu(workload)
    workload.clear()
    return Peak(at_start, above_start)


def _above_start_on_cpu(workload: Workload) -> int:
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        workload.run(STEP)
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
    workload.run(STEP)
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before
