"""All candidates on one shape in one memory format."""

import gc
import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.candidates import PLAIN, Candidate
from benchmarks.memory import Peak, measure_peak
from benchmarks.shapes import Shape
from benchmarks.timing import Times, measure_times, ratio
from benchmarks.workload import Workload

MEMORY_FORMATS = {
    "channels_last": torch.channels_last,
    "contiguous": torch.contiguous_format,
}


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

    shape: Shape
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

    def memory_ratio(self, name: str) -> float:
        """A candidate's peak memory over the plain convolution's."""
        return self.peaks[name].total / self.peaks[PLAIN].total

    def memory_ratio_above_start(self, name: str) -> float:
        """The same without what is alive when the step starts."""
        return self.peaks[name].above_start / self.peaks[PLAIN].above_start


def measure(
    candidates: list[Candidate],
    shape: Shape,
    memory_format: str,
    *,
    rounds: int,
    device: torch.device,
    dtype: torch.dtype,
    one_call: bool = False,
) -> Measurement:
    """Measure every candidate on a shape; see :func:`benchmarks.timing.measure_times`."""
    torch.manual_seed(0)
    workloads = _make_workloads(candidates, shape, memory_format, device, dtype)
    times, calls = measure_times(candidates, workloads, rounds, device, one_call)
    peaks = {name: measure_peak(workload, device) for name, workload in workloads.items()}
    del workloads
    gc.collect()
    return Measurement(shape, memory_format, times, calls, peaks)


def _make_workloads(
    candidates: list[Candidate],
    shape: Shape,
    memory_format: str,
    device: torch.device,
    dtype: torch.dtype,
) -> dict[str, Workload]:
    """Build the layers around one input and one gradient of the output."""
    layout = MEMORY_FORMATS[memory_format]

    def place(build: Callable[[Shape], nn.Module]) -> nn.Module:
        return build(shape).to(device=device, dtype=dtype).to(memory_format=layout)

    layers = {candidate.name: place(candidate.build) for candidate in candidates}
    size = (shape.batch, shape.in_channels, shape.size, shape.size)
    input = torch.randn(size, device=device, dtype=dtype).contiguous(memory_format=layout)
    input.requires_grad_(not shape.is_first_layer)
    with torch.no_grad():
        output = layers[PLAIN](input)
    gradient = torch.randn_like(output).contiguous(memory_format=layout)
    return {name: Workload(layer, input, gradient) for name, layer in layers.items()}
