"""The charts of a study's settings: each alone, and which ones mattered."""

import math
import warnings
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from sweeps.reporting.report.chart import Bars, Chart, shown
from sweeps.reporting.report.study_charts import (
    best_searched,
    brief,
    points_of,
    searched,
    y_range_of,
)
from sweeps.study.progress import Progress

#: So many complete trials tell which settings mattered.
FEWEST_FOR_IMPORTANCE = 10
#: A best value so near an end of its range, as a share of the range, is at its edge.
EDGE = 0.05
# So many values of a whole number get a place each.
_MOST_SPREAD = 8


def isolation_chart(progress: Progress, name: str, distribution: BaseDistribution) -> Chart:
    """Draw each trial's value against one of its parameters."""
    # Another program may have changed a range between trials.
    ranges = [t.distributions[name] for t in progress.trials if name in t.distributions]
    is_one = all(each == distribution for each in ranges)
    values = _few_values(distribution) if is_one else None

    def place(trial: FrozenTrial) -> float | None:
        if name not in trial.params:
            return None
        value: Any = trial.params[name]
        # Spread by the golden ratio, so that points of one value do not hide each other.
        return value if values is None else values.index(value) + _spread(trial.number)

    log_x, x_range, ticks = False, None, None
    if values is not None:
        ticks = {float(index): brief(value) for index, value in enumerate(values)}
        x_range = -0.5, len(values) - 0.5
    elif isinstance(distribution, FloatDistribution | IntDistribution):
        log_x = distribution.log
        if is_one and distribution.low < distribution.high:
            x_range = distribution.low, distribution.high
    best = best_searched(progress)
    at = "" if best is None else f" The best trial has {brief(best.params.get(name))}."
    y_range = y_range_of(progress)
    return Chart(
        key=f"parameter-{''.join(c if c.isalnum() and c.isascii() else '-' for c in name)}",
        title=shown(name),
        alt=f"{progress.metric} against {name}.{at}",
        marks=points_of(progress, place, y_range, legend=False),
        x_title=name,
        y_title=progress.metric,
        log_x=log_x,
        x_ticks=ticks,
        x_range=x_range,
        y_range=y_range,
    )


def _few_values(distribution: BaseDistribution) -> list[Any] | None:
    """Return the values of a parameter that has few, one beside the other; else ``None``."""
    if isinstance(distribution, CategoricalDistribution):
        return [*distribution.choices]
    if isinstance(distribution, IntDistribution) and not distribution.log:
        values = range(distribution.low, distribution.high + 1, distribution.step)
        return [*values] if len(values) <= _MOST_SPREAD else None
    return None


def _spread(number: int) -> float:
    return ((number * 0.618034) % 1 - 0.5) / 3


def edge_warning(trial: FrozenTrial, name: str) -> str | None:
    """Say so where a trial's parameter lies at the edge of its range."""
    distribution = trial.distributions[name]
    if not isinstance(distribution, FloatDistribution | IntDistribution):
        return None
    low, high, value = distribution.low, distribution.high, trial.params[name]
    scale = math.log if distribution.log else float
    if low == high:
        return None
    share = (scale(value) - scale(low)) / (scale(high) - scale(low))
    if EDGE < share < 1 - EDGE:
        return None
    side = "lower" if share <= EDGE else "upper"
    return (
        f"{name}: the best value found, {brief(value)}, lies at the {side} edge of the range "
        f"{brief(low)} to {brief(high)}. A better one may lie beyond; where the setting allows it, "
        "search a wider range."
    )


def importance_chart(study: optuna.Study, progress: Progress) -> Chart | None:
    """Draw how much each parameter matters for being among the best tenth of the trials."""
    complete = [t for t in searched(progress) if t.state is TrialState.COMPLETE]
    varied = {name for trial in complete for name in trial.params}
    varied = {n for n in varied if len({str(t.params.get(n)) for t in complete}) > 1}
    if len(complete) < FEWEST_FOR_IMPORTANCE or not varied:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluated = optuna.importance.get_param_importances(study, params=sorted(varied))
    found = dict(sorted(evaluated.items(), key=lambda item: -item[1]))
    return Chart(
        key="importance",
        title="What mattered",
        alt=", ".join(f"{name} {share:.0%}" for name, share in found.items()),
        marks=[Bars([*found], [*found.values()])],
        x_title="share of the importance",
        caption="How much each setting told the best tenth of the complete trials from the rest "
        f"(PED-ANOVA, Watanabe et al. 2023); from {len(complete)} trials, so read it as a hint.",
    )
