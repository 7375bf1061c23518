"""Times of several candidates, taken in turn so that all of them see the same machine."""

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping

import torch

from benchmarks.candidates import Candidate
from benchmarks.workload import Workload

FORWARD = "forward"
STEP = "forward+backward"
MODES = (FORWARD, STEP)

# Times in milliseconds by mode, candidate and round.
Times = dict[str, dict[str, dict[int, float]]]

SAMPLE_MS = 20.0
MOST_CALLS = 20
LONG_CALL_MS = 10 * SAMPLE_MS


def measure_times(
    candidates: list[Candidate],
    workloads: Mapping[str, Workload],
    rounds: int,
    device: torch.device,
    one_call: bool = False,
) -> tuple[Times, dict[str, dict[str, int]]]:
    """Time every candidate in every round that it takes part in.

    A round goes over the candidates once, in an order that is rotated by one each round. A
    warm-up round that counts nothing comes first; from it follows how many calls a sample takes,
    so that a sample lasts about ``SAMPLE_MS``. A time is a sample's mean over its calls.

    Args:
        candidates: the candidates, the one that all others are held against first.
        workloads: each candidate's workload, by its name.
        rounds: rounds after the warm-up.
        device: where the workloads are.
        one_call: take one call a sample, whatever it lasts.

    Returns:
        the times, and the calls a sample by mode and candidate.
    """
    times: Times = {mode: {c.name: {} for c in candidates} for mode in MODES}
    calls: dict[str, dict[str, int]] = {mode: {} for mode in MODES}
    for candidate in candidates:
        for mode in MODES:
            once = _sample(workloads[candidate.name], mode, 1, device)
            # The first call may plan and allocate, so a short one says little about the next.
            if once < LONG_CALL_MS and not one_call:
                once = _sample(workloads[candidate.name], mode, 1, device)
            wanted = 1 if one_call else math.ceil(SAMPLE_MS / max(once, 1e-6))
            calls[mode][candidate.name] = min(wanted, MOST_CALLS)
    collecting = gc.isenabled()
    gc.disable()
    try:
        for number in range(rounds):
            turn = number % len(candidates)
            for candidate in candidates[turn:] + candidates[:turn]:
                if number % candidate.every:
                    continue
                for mode in MODES:
                    count = calls[mode][candidate.name]
                    sample = _sample(workloads[candidate.name], mode, count, device)
                    times[mode][candidate.name][number] = sample
    finally:
        if collecting:
            gc.enable()
    return times, calls


def ratio(times: Mapping[int, float], others: Mapping[int, float]) -> float:
    """Return the median, over the rounds that both took part in, of the quotient of their times.

    The quotient is taken within a round, so what slows the machine for a while slows both.
    """
    return statistics.median(times[number] / others[number] for number in times.keys() & others)


def _sample(workload: Workload, mode: str, calls: int, device: torch.device) -> float:
    """Return the mean milliseconds of some calls; gradients are cleared outside the clock."""
    run = workload.forward if mode == FORWARD else workload.step
    timed = _timed_on_cuda if device.type == "cuda" else _timed_on_cpu
    with workload.setting():
        return timed(run, workload.clear, calls)


def _timed_on_cpu(run: Callable[[], None], clear: Callable[[], None], calls: int) -> float:
    seconds = 0.0
    for _ in range(calls):
        start = time.perf_counter()
        run()
        seconds += time.perf_counter() - start
        clear()
    return seconds * 1000 / calls


def _timed_on_cuda(run: Callable[[], None], clear: Callable[[], None], calls: int) -> float:
    """Events on the stream take the device's time, with the gaps that late launches leave."""
    spans = [
        (torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True))
        for _ in range(calls)
    ]
    torch.cuda.synchronize()
    for start, end in spans:
        start.record()
        run()
        end.record()
        clear()
    torch.cuda.synchronize()
    return sum(start.elapsed_time(end) for start, end in spans) / calls
