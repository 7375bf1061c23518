"""The schedule of the learning rate."""

import math


def one_cycle(step: int, steps: int, warmup: float) -> float:
    """The learning rate of a step, as a share of the peak.

    It rises along a cosine from 1/25 to 1 and falls along another to 1/250,000: the one-cycle
    schedule of Smith and Topin 2018, "Super-Convergence", as torch's ``OneCycleLR`` has it, which
    divides by zero where the rise is a single step long.

    Args:
        step: counted from 0; beyond the last it keeps the last's rate.
        steps: how many there are.
        warmup: the share of them in which the rate rises.
    """
    start, end = 1 / 25, 1 / 250_000
    peak = min(max(1, round(warmup * steps)), max(steps - 2, 1)) if steps > 1 else 0
    if step < peak:
        return 1 + (start - 1) * (1 + math.cos(math.pi * step / peak)) / 2
    fall = max(1, steps - 1 - peak)
    return end + (1 - end) * (1 + math.cos(math.pi * min(1, (step - peak) / fall))) / 2
