"""Times, ratios and peak memory that the benchmarks take."""

import pytest
import torch
from torch import Tensor, nn

from benchmarks.layer import DCLS, LAYER, ImageShape, choose_candidates, judge
from benchmarks.measurement import (
    FORWARD,
    MODES,
    PLAIN,
    STEP,
    Measurement,
    Peak,
    Workload,
    measure_peak,
    measure_times,
    ratio,
)


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


def test_gradients_are_dropped_after_a_measurement():
    workload = make_workload(Exponential())
    measure_peak(workload)
    assert workload.input.grad is None


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


def test_order_begins_one_further_each_round():
    log: list[str] = []
    workloads = {name: make_workload(Recorder(name, log)) for name in "abc"}
    measure_times(workloads, 3, one_call=True)
    assert "".join(log[::2]) == "abc" + "abc" + "bca" + "cab"


def test_ratio_pairs_the_rounds_that_both_took_part_in():
    assert ratio({0: 2.0, 3: 9.0}, {0: 1.0, 1: 50.0, 3: 3.0}) == 2.5


def test_dcls_is_left_out_where_it_is_not_installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    candidates, left_out = choose_candidates(False, "gauss")
    assert DCLS not in [candidate.name for candidate in candidates]
    assert "not installed" in left_out[DCLS]


def make_measurement(memory_format: str, over_plain: float, batch: int) -> Measurement:
    """A measurement with all times 10 x plain's but the layer's."""
    names = [
        PLAIN,
        DCLS,
        *(f"{s} {a}" for s in ("7x7", "5x5", "11x11") for a in ("auto", "expanded")),
    ]
    step = {name: {0: 10.0} for name in names} | {PLAIN: {0: 1.0}, LAYER: {0: over_plain}}
    peaks = {name: Peak(1, 1) for name in names}
    times = {FORWARD: step, STEP: step}
    return Measurement(ImageShape(batch, 3, 3, 8, 1), memory_format, times, {}, peaks)


def test_verdicts_judge_the_mean_and_the_worst_shape():
    verdicts = judge(
        [make_measurement("channels_last", 0.8, 1), make_measurement("channels_last", 1.31, 2)]
    )
    mean, worst, over_expanded, over_dcls, memory, *smaller = verdicts
    assert mean.reached is True
    assert mean.measured == pytest.approx((0.8 * 1.31) ** 0.5)
    assert (worst.reached, worst.worst_shape.batch) == (False, 2)
    assert over_expanded.measured == pytest.approx(10 / mean.measured)
    assert over_expanded.worst == pytest.approx(10 / 1.31)
    assert over_dcls.reached is False
    assert memory.measured == 1
    assert [verdict.measured for verdict in smaller] == [1, 1]


@pytest.mark.parametrize(
    ("memory_format", "reached"), [("channels_last", False), ("contiguous", True)]
)
def test_limits_depend_on_the_memory_format(memory_format, reached):
    assert judge([make_measurement(memory_format, 1.1, 1)])[0].reached is reached
