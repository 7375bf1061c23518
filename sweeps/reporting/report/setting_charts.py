"""The charts of a study's settings: each alone, and which ones mattered."""

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class SettingAxis:
    """The axis of a setting: its whole range, and where trials lie in it.

    Attributes:
        name: the parameter's.
        log: whether it is logarithmic.
        range: what is shown of it; ``None`` for all.
        values: those of a parameter that has few, one beside the other; ``None`` for a range.
    """

    name: str
    log: bool
    range: tuple[float, float] | None
    values: list[Any] | None

    def place(self, trial: FrozenTrial) -> float | None:
        """Return where a trial lies; ``None`` where it does not have the parameter."""
        if self.name not in trial.params:
            return None
        value: Any = trial.params[self.name]
        if self.values is None:
            return value
        # Spread by the golden ratio, so that points of one value do not hide each other.
        return self.values.index(value) + _spread(trial.number)

    @property
    def ticks(self) -> dict[float, str] | None:
        if self.values is None:
            return None
        return {float(index): brief(value) for index, value in enumerate(self.values)}


def axis_of(name: str, trials: Iterable[FrozenTrial]) -> SettingAxis:
    """Return the axis of a parameter that some of the trials have."""
    ranges = [trial.distributions[name] for trial in trials if name in trial.distributions]
    last = ranges[-1]
    # Another program may have changed a range between trials.
    is_one = all(each == last for each in ranges)
    if is_one and (values := _few_values(last)) is not None:
        return SettingAxis(name, False, (-0.5, len(values) - 0.5), values)
    if not isinstance(last, FloatDistribution | IntDistribution):
        return SettingAxis(name, False, None, None)
    whole = (last.low, last.high) if is_one and last.low < last.high else None
    return SettingAxis(name, last.log, whole, None)


def isolation_chart(progress: Progress, name: str) -> Chart:
    """Draw each trial's value against one of its parameters."""
    axis = axis_of(name, progress.trials)
    best = best_searched(progress)
    at = "" if best is None else f" The best trial has {brief(best.params.get(name))}."
    y_range = y_range_of(progress)
    return Chart(
        key=setting_key(name),
        title=shown(name),
        alt=f"{progress.metric} against {name}.{at}",
        marks=points_of(progress, axis.place, y_range, legend=False),
        x_title=name,
        y_title=progress.metric,
        log_x=axis.log,
        x_ticks=axis.ticks,
        x_range=axis.range,
        y_range=y_range,
    )


def setting_key(name: str) -> str:
    """Return the key of a setting's chart."""
    return f"parameter-{''.join(c if c.isalnum() and c.isascii() else '-' for c in name)}"


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


def importances(study: optuna.Study, progress: Progress) -> dict[str, float]:
    """Return how much each parameter matters for being among the best tenth of the trials.

    The largest first; empty where too few trials are complete, or nothing varied.
    """
    complete = [t for t in searched(progress) if t.state is TrialState.COMPLETE]
    varied = {name for trial in complete for name in trial.params}
    varied = {n for n in varied if len({str(t.params.get(n)) for t in complete}) > 1}
    if len(complete) < FEWEST_FOR_IMPORTANCE or not varied:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluated = optuna.importance.get_param_importances(study, params=sorted(varied))
    return dict(sorted(evaluated.items(), key=lambda item: -item[1]))


def importance_chart(study: optuna.Study, progress: Progress) -> Chart | None:
    """Draw how much each parameter matters, where that can be said."""
    found = importances(study, progress)
    if not found:
        return None
    complete = sum(t.state is TrialState.COMPLETE for t in searched(progress))
    return Chart(
        key="importance",
        title="What mattered",
        alt=", ".join(f"{name} {share:.0%}" for name, share in found.items()),
        marks=[Bars([*found], [*found.values()])],
        x_title="share of the importance",
        caption="How much each setting told the best tenth of the complete trials from the rest "
        f"(PED-ANOVA, Watanabe et al. 2023); from {complete} trials, so read it as a hint.",
    )
