"""What is said of a setting: its chart's axis, a best at the edge of its range, its importance."""

import math
import warnings
from collections.abc import Iterable
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from sweeps.reporting.findings import is_baseline
from sweeps.reporting.formatting import brief
from sweeps.reporting.report.chart import shown
from sweeps.reporting.report.trial_points import Place

#: So many complete trials tell which settings mattered.
FEWEST_FOR_IMPORTANCE = 10
# A best value so near an end of its range, as a share of the range, is at its edge.
_EDGE = 0.05
# So many values of a whole number get a place each.
_MOST_SPREAD = 8


def setting_axis(name: str, trials: Iterable[FrozenTrial]) -> tuple[Place, dict[str, Any]]:
    """Return where trials lie along a setting that some of them have, over its whole range.

    Returns:
        The place of a trial; and what a :class:`Chart` needs for that axis.
    """
    ranges = [trial.distributions[name] for trial in trials if name in trial.distributions]
    last = ranges[-1]
    # Another program may have changed a range between trials.
    is_one = all(each == last for each in ranges)
    key = f"parameter-{''.join(c if c.isalnum() and c.isascii() else '-' for c in name)}"
    chart: dict[str, Any] = {"key": key, "title": shown(name), "x_title": name}
    values = _few_values(last) if is_one else None
    if values is not None:

        def place(trial: FrozenTrial) -> float | None:
            if name not in trial.params:
                return None
            # Spread by the golden ratio, so that points of one value do not hide each other.
            spread = ((trial.number * 0.618034) % 1 - 0.5) / 3
            return values.index(trial.params[name]) + spread

        chart["x_ticks"] = {float(index): brief(value) for index, value in enumerate(values)}
        return place, {**chart, "x_range": (-0.5, len(values) - 0.5)}
    assert isinstance(last, FloatDistribution | IntDistribution)
    if is_one and last.low < last.high:
        chart["x_range"] = (last.low, last.high)
    return lambda trial: trial.params.get(name), {**chart, "log_x": last.log}


def _few_values(distribution: BaseDistribution) -> list[Any] | None:
    """Return the values of a parameter that has few, one beside the other; else ``None``."""
    if isinstance(distribution, CategoricalDistribution):
        return [*distribution.choices]
    if isinstance(distribution, IntDistribution) and not distribution.log:
        values = range(distribution.low, distribution.high + 1, distribution.step)
        return [*values] if len(values) <= _MOST_SPREAD else None
    return None


def edge_warnings(trial: FrozenTrial) -> list[str]:
    """Name the settings of a best trial that lie at the edge of their range."""
    found = []
    for name, distribution in trial.distributions.items():
        if not isinstance(distribution, FloatDistribution | IntDistribution):
            continue
        low, high, value = distribution.low, distribution.high, trial.params[name]
        if low == high:
            continue
        scale = math.log if distribution.log else float
        share = (scale(value) - scale(low)) / (scale(high) - scale(low))
        if _EDGE < share < 1 - _EDGE:
            continue
        side = "lower" if share <= _EDGE else "upper"
        found.append(
            f"{name}: the best value found, {brief(value)}, lies at the {side} edge of the range "
            f"{brief(low)} to {brief(high)}. A better one may lie beyond; where the setting allows "
            "it, search a wider range."
        )
    return found


def importances(study: optuna.Study, trials: Iterable[FrozenTrial]) -> dict[str, float]:
    """Return how much each parameter matters for being among the best tenth of the trials.

    The largest first; empty where too few searched trials are complete, or nothing varied.
    """
    complete = [
        trial for trial in trials if trial.state is TrialState.COMPLETE and not is_baseline(trial)
    ]
    names = {name for trial in complete for name in trial.params}
    varied = [n for n in sorted(names) if len({str(t.params.get(n)) for t in complete}) > 1]
    if len(complete) < FEWEST_FOR_IMPORTANCE or not varied:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = optuna.importance.get_param_importances(study, params=varied)
    return dict(sorted(found.items(), key=lambda item: -item[1]))
