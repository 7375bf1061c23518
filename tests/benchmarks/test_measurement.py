"""Times, ratios and peak memory that the benchmarks take."""

import torch
from torch import Tensor, nn

from benchmarks.measurement import MODES, Peak, Workload, measure_peak, measure_times, time_ratio


class Exponential(nn.Module):
    """Keeps its output for the backward pass, which makes one more tensor of that size."""

    def forward(self, input: Tensor) -> Tensor:
        return input.exp()


class Recorder(nn.Module):
    def __init__(self, name: str, log: list[str]) -> None:
        super().__init__()
        self.name, self.log = name, log

    def forward(self, input: Tensor) -> Tensor:
        self.log.append(self.name)
        return input * 1


def make_workload(layer: nn.Module, every: int = 1) -> Workload:
    input = torch.ones(2**18, requires_grad=True)
    return Workload(layer, input, torch.ones(2**18), every=every)


def test_peak_memory_is_what_a_step_allocates():
    peak = measure_peak(make_workload(Exponential()))
    assert peak == Peak(at_start=2**20, above_start=2 * 2**20)


def test_rounds_rotate_and_slow_candidates_rest():
    log: list[str] = []
    workloads = {
        name: make_workload(Recorder(name, log), every) for name, every in {"a": 1, "b": 2}.items()
    }
    times, calls = measure_times(workloads, 4, one_call=True)
    # Each turn is a forward pass and a step. First the warm-up; b rests in rounds 1 and 3.
    assert "".join(log) == "aabb" + "aabb" + "aa" + "aabb" + "aa"
    assert [list(times[mode]["b"]) for mode in MODES] == [[0, 2], [0, 2]]
    assert calls == {mode: {"a": 1, "b": 1} for mode in MODES}


def test_a_ratio_pairs_the_rounds_that_both_took_part_in():
    assert time_ratio({0: 2.0, 3: 9.0}, {0: 1.0, 1: 50.0, 3: 3.0}) == 2.5
