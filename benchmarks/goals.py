"""What the layer is meant to cost, and whether a run shows that it does."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks.candidates import DCLS, PLAIN
from benchmarks.measurement import Measurement, Subject
from benchmarks.timing import STEP

LAYER = "7x7 auto"
# By memory format: most time over the plain convolution's, least speed-up over the expanded form.
STEP_LIMITS = {"channels_last": (1.05, 3.0), "contiguous": (1.15, 2.5)}
# Where "auto" chooses the expanded form the two run the same code, and noise decides.
NOISE = 0.03


@dataclass(frozen=True)
class Goal:
    """A limit on a figure that every shape has.

    Attributes:
        text: the goal in words, without the limit.
        figure: the figure of one shape.
        summary: what is held against the limit: the geometric mean over shapes, or the worst.
        limit: the limit.
        at_most: whether the limit is an upper one.
    """

    text: str
    figure: Callable[[Measurement], float]
    summary: Callable[[Iterable[float]], float]
    limit: float
    at_most: bool = True


@dataclass(frozen=True)
class Verdict:
    """A goal, the figure that is held against its limit, and the worst shape with its figure."""

    goal: Goal
    figure: float
    worst_shape: Subject
    worst_figure: float

    @property
    def reached(self) -> bool:
        """Whether the figure is within the limit."""
        limit = self.goal.limit
        return self.figure <= limit if self.goal.at_most else self.figure >= limit


def judge(measurements: list[Measurement]) -> list[Verdict]:
    """Hold the measurements in one memory format against the goals.

    A goal about a candidate that was left out is left out too.
    """
    verdicts = []
    for goal in _goals(measurements[0].memory_format, with_dcls=DCLS in measurements[0].peaks):
        figures = {measurement.shape: goal.figure(measurement) for measurement in measurements}
        worst_of = max if goal.at_most else min
        worst = worst_of(figures, key=lambda shape: figures[shape])
        verdicts.append(Verdict(goal, goal.summary(figures.values()), worst, figures[worst]))
    return verdicts


def _goals(memory_format: str, with_dcls: bool) -> list[Goal]:
    mean = statistics.geometric_mean
    over_plain, speed_up = STEP_LIMITS[memory_format]
    goals = [
        Goal(f"{LAYER}: time / {PLAIN}, mean", _time(LAYER, PLAIN), mean, over_plain),
        Goal(f"{LAYER}: time / {PLAIN}, each shape", _time(LAYER, PLAIN), max, 1.3),
        Goal(
            f"{LAYER}: speed-up over expanded, mean",
            _time("7x7 expanded", LAYER),
            mean,
            speed_up,
            at_most=False,
        ),
    ]
    if with_dcls:
        dcls = Goal(f"{LAYER}: speed-up over {DCLS}, mean", _time(DCLS, LAYER), mean, 10.0, False)
        goals.append(dcls)
    goals.append(
        Goal(f"{LAYER}: peak memory / {PLAIN}, each shape", _peak_memory_of_layer, max, 1.5)
    )
    for size in ("5x5", "11x11"):
        figure = _time(f"{size} auto", f"{size} expanded")
        text = f"{size} auto: time / expanded, mean (1, and {NOISE:.0%} for noise)"
        goals.append(Goal(text, figure, mean, 1 + NOISE))
    return goals


def _time(name: str, other: str) -> Callable[[Measurement], float]:
    return lambda measurement: measurement.time_ratio(STEP, name, other)


def _peak_memory_of_layer(measurement: Measurement) -> float:
    return measurement.memory_ratio(LAYER)
