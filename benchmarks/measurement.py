"""Times and peak memory of several ways to compute a layer.

All candidates are timed in turn, round after round, so that load on the machine affects all.
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
Clock = Callable[[], float]
# The wall clock counts all threads' work, and other processes'; the CPU time of one thread
# measures that thread alone, for benchmarks on a busy machine.
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.thread_time}

SAMPLE_MS = 20.0
MOST_CALLS = 200
LONG_CALL_MS = 10 * SAMPLE_MS


@dataclass(frozen=True)
class Candidate:
    """One way to compute a layer.

    Attributes:
        name: its name in tables and files.
        build: makes the layer for a shape, on the CPU in float32.
        every: 3 to measure it in every third round, 1 in every round.
        setting: makes the context that it runs in, which is not timed.
    """

    name: str
    build: Callable[[Any], nn.Module]
    every: int = 1
    setting: Callable[[], AbstractContextManager[None]] = nullcontext


@dataclass
class Workload:
    """A candidate's layer, with the input and output gradient that all candidates share."""

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
    """Bytes of a step: at its start (input, parameters, buffers), and the peak above that."""

    at_start: int
    above_start: int

    @property
    def total(self) -> int:
        """Peak bytes of the step."""
        return self.at_start + self.above_start


@dataclass(frozen=True)
class Measurement:
    """The measurement of one shape.

    Attributes:
        shape: a frozen dataclass with ``input_size``, the size of the input's every axis, and
            ``is_first_layer``, whether the input needs no gradient; ``str(shape)`` is its label.
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
        """Return the ratio of two candidates' figures; see :func:`time_ratio` for times."""
        if figure in MODES:
            return time_ratio(self.times[figure][name], self.times[figure][other])
        return self.amount(figure, name) / self.amount(figure, other)


def make_workloads(
    candidates: list[Candidate], shape: Any, memory_format: str, device: str, dtype: str
) -> dict[str, Workload]:
    """Build the layers of all candidates with one input and one output gradient."""
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
    clock: Clock = time.perf_counter,
) -> Measurement:
    """Measure a shape's workloads; see :func:`measure_times` and :func:`measure_peak`."""
    times, calls = measure_times(workloads, rounds, one_call, clock)
    peaks = {name: measure_peak(workload) for name, workload in workloads.items()}
    return Measurement(shape, memory_format, times, calls, peaks)


def measure_times(
    workloads: Mapping[str, Workload],
    rounds: int,
    one_call: bool = False,
    clock: Clock = time.perf_counter,
) -> tuple[Times, dict[str, dict[str, int]]]:
    """Time every candidate in every round that it takes part in.

    A round times every candidate once, in an order that is rotated by one each round. An untimed
    warm-up round sets the calls per sample, so that a sample lasts about ``SAMPLE_MS``. A time is
    the mean over the calls of a sample.

    Args:
        workloads: each candidate's workload, by its name.
        rounds: rounds after the warm-up.
        one_call: take one call per sample, however long it lasts.
        clock: the clock for CPUs, in seconds.

    Returns:
        the times, and the calls per sample by mode and candidate.
    """
    times: Times = {mode: {name: {} for name in workloads} for mode in MODES}
    calls: dict[str, dict[str, int]] = {mode: {} for mode in MODES}
    for name, workload in workloads.items():
        for mode in MODES:
            once = _sample(workload, mode, 1, clock)
            # The first call may compile and allocate, so a short one says little about the next.
            if once < LONG_CALL_MS and not one_call:
                once = _sample(workload, mode, 1, clock)
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
                    number_of_calls = calls[mode][name]
                    sample = _sample(workloads[name], mode, number_of_calls, clock)
                    times[mode][name][number] = sample
    finally:
        gc.enable()
    return times, calls


def time_ratio(times: Mapping[int, float], others: Mapping[int, float]) -> float:
    """Return the median ratio of two candidates' times over the rounds that have both.

    Each ratio is taken within a round, so that load on the machine affects both times.
    """
    return statistics.median(times[number] / others[number] for number in times.keys() & others)


def _sample(workload: Workload, mode: str, calls: int, clock: Clock) -> float:
    """Return the mean milliseconds of some calls, without clearing the gradients."""
    with workload.setting():
        if workload.input.device.type == "cuda":
            return _timed_on_cuda(workload, mode, calls)
        seconds = 0.0
        for _ in range(calls):
            start = clock()
            workload.run(mode)
            seconds += clock() - start
            workload.clear()
    return seconds * 1000 / calls


def _timed_on_cuda(workload: Workload, mode: str, calls: int) -> float:
    """Time by events on the stream: the device's time, with gaps between late launches."""
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

    The workload has run before and holds no gradients. The gradient of the output is not counted.
    On the CPU the allocations are those that torch's profiler reports: tensors, and buffers that
    oneDNN allocates through torch, but no memory that oneDNN or a thread pool allocates itself. On
    CUDA they are those of torch's caching allocator, with cuDNN's workspaces.
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
