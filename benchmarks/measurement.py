"""All candidates on one shape in one memory format."""

import gc
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import nn

from benchmarks.candidates import PLAIN, Candidate
from benchmarks.memory import Peak, measure_peak
from benchmarks.timing import Times, measure_times, ratio
from benchmarks.workload import Workload

MEMORY_FORMATS = {
    "channels_last": torch.channels_last,
    "contiguous": torch.contiguous_format,
}


class Subject(Protocol):
    """What candidates are measured on; a frozen dataclass whose ``str`` is its label."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def input_size(self) -> tuple[int, ...]:
        """Size of the input's every axis, the batch and the channels first."""

    @property
    def is_first_layer(self) -> bool:
        """Whether the input needs no gradient."""


@dataclass(frozen=True)
class Measurement:
    """What was measured on one shape.

    Attributes:
        shape: the shape.
        memory_format: a key of ``MEMORY_FORMATS``.
        times: milliseconds by mode, candidate and round.
        calls: calls a sample, by mode and candidate.
        peaks: peak memory of a step, by candidate.
    """

    shape: Subject
    memory_format: str
    times: Times
    calls: dict[str, dict[str, int]]
    peaks: dict[str, Peak]

    def median_ms(self, mode: str, name: str) -> float:
        """A candidate's median time in milliseconds."""
        return statistics.median(self.times[mode][name].values())

    def time_ratio(self, mode: str, name: str, other: str = PLAIN) -> float:
        """A candidate's time over another's, see :func:`benchmarks.timing.ratio`."""
        return ratio(self.times[mode][name], self.times[mode][other])

    def memory_ratio(self, name: str, other: str = PLAIN) -> float:
        """A candidate's peak memory over another's."""
        return self.peaks[name].total / self.peaks[other].total

    def memory_ratio_above_start(self, name: str, other: str = PLAIN) -> float:
        """The same without what is alive when the step starts."""
        return self.peaks[name].above_start / self.peaks[other].above_start


def measure(
    candidates: list[Candidate],
    shape: Subject,
    memory_format: str,
    *,
    rounds: int,
    device: torch.device,
    dtype: torch.dtype,
    one_call: bool = False,
) -> Measurement:
    """Measure every candidate on a shape; see :func:`benchmarks.timing.measure_times`."""
    workloads = make_workloads(candidates, shape, memory_format, device, dtype)
    times, calls = measure_times(candidates, workloads, rounds, device, one_call)
    peaks = measure_peaks(workloads, device)
    del workloads
    gc.collect()
    return Measurement(shape, memory_format, times, calls, peaks)


def make_workloads(
    candidates: list[Candidate],
    shape: Subject,
    memory_format: str,
    device: torch.device,
    dtype: torch.dtype,
) -> dict[str, Workload]:
    """Build the layers, the plain one among them, around one input and one output gradient."""
    torch.manual_seed(0)
    layout = MEMORY_FORMATS[memory_format]
    if layout is torch.channels_last and len(shape.input_size) == 5:
        layout = torch.channels_last_3d

    def place(build: Callable[[Any], nn.Module]) -> nn.Module:
        return build(shape).to(device=device, dtype=dtype).to(memory_format=layout)

    layers = {candidate.name: place(candidate.build) for candidate in candidates}
    input = torch.randn(shape.input_size, device=device, dtype=dtype)
    input = input.contiguous(memory_format=layout)
    input.requires_grad_(not shape.is_first_layer)
    with torch.no_grad():
        output = layers[PLAIN](input)
    gradient = torch.randn_like(output).contiguous(memory_format=layout)
    return {
        candidate.name: Workload(layers[candidate.name], input, gradient, candidate.setting)
        for candidate in candidates
    }


def measure_peaks(workloads: Mapping[str, Workload], device: torch.device) -> dict[str, Peak]:
    """Return every workload's peak memory, see :func:`benchmarks.memory.measure_peak`."""
    return {name: measure_peak(workload, device) for name, workload in workloads.items()}
