"""Trials as the points of a chart."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial

from storage import CONFIGURATION
from sweeps.reporting.report.chart import Line, Points
from sweeps.study.progress import outcome_of
from sweeps.verdicts import expected_best

Place = Callable[[FrozenTrial], float | None]
Range = tuple[float, float] | None

# Of fewer values none is left out.
_FEWEST_TO_CUT = 8


def trial_points(
    trials: Iterable[FrozenTrial], place: Place, y_range: Range, *, owner: str = "", **look: Any
) -> list[Points]:
    """Draw trials by their last value: as one mark, or none where no trial has a place.

    Args:
        trials: the trials.
        place: returns where one lies along x; ``None`` for nowhere.
        y_range: those outside of it are drawn at its edge.
        owner: the arm that they are of, if any.
        look: other fields of :class:`Points`.
    """
    low, high = y_range or (-math.inf, math.inf)
    of = f"{owner}, " if owner else ""
    placed = [
        (x, min(max(y, low), high), of + describe(trial))
        for trial in trials
        if (x := place(trial)) is not None
        and math.isfinite(x)
        and (y := last_value(trial)) is not None
    ]
    if not placed:
        return []
    xs, ys, labels = zip(*placed, strict=True)
    return [Points(xs, ys, labels=labels, **look)]


def last_value(trial: FrozenTrial) -> float | None:
    """Return a trial's value, or the last that it reported before it was ended."""
    if trial.values:
        value = trial.values[0]
    elif trial.intermediate_values:
        value = trial.intermediate_values[max(trial.intermediate_values)]
    else:
        return None
    return value if math.isfinite(value) else None


def describe(trial: FrozenTrial) -> str:
    """Say which trial it is, in a few words."""
    named = trial.user_attrs.get(CONFIGURATION)
    return f"trial {trial.number}, {named or outcome_of(trial)}"


def cut_range(values: Sequence[float], direction: str, share: float = 0.25) -> Range:
    """Return the range that leaves out a share of the values, the worst; ``None`` for all."""
    sign = 1 if direction == "maximize" else -1
    scores = sorted(sign * value for value in values)
    if len(scores) < _FEWEST_TO_CUT:
        return None
    worst, best = float(np.quantile(scores, share)), scores[-1]
    if worst in (scores[0], best):
        return None
    margin = 0.06 * (best - worst)
    ends = sign * (worst - margin), sign * (best + margin)
    return min(ends), max(ends)


def expected_best_line(values: Sequence[float], direction: str, *look: Any) -> Line:
    """Draw the mean best of n of the values, for each n up to their number."""
    sign = 1 if direction == "maximize" else -1
    means = [sign * mean for mean in expected_best([sign * value for value in values])]
    return Line([*range(1, len(means) + 1)], means, *look)
