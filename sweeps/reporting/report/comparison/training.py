"""The section of a comparison's learning curves: who is ahead when."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import optuna
from scipy.special import stdtrit

from storage import HardenedStorage, read_epochs
from sweeps.reporting.report.chart import Chart, Line
from sweeps.reporting.report.comparison.looks import (
    arm_looks,
    pair_looks,
    pair_name,
    signed,
    split_charts,
    zero_line,
)
from sweeps.reporting.report.document import Block, Charts, Table
from sweeps.study.comparison import Comparison, Pair, Run

#: Pointwise intervals miss the mean with this probability, at each epoch.
_POINTWISE_ERROR = 0.05

Curve = Mapping[int, float]


def training(storage: HardenedStorage, comparison: Comparison, home: optuna.Study) -> list[Block]:
    """Write the section of the learning curves, whose study of confirming runs is ``home``."""
    metric, arms = comparison.spec.metrics[0], comparison.arms.values()
    ids = {trial.number: trial._trial_id for trial in home.get_trials(deepcopy=False)}
    losses = {arm.name: [_losses(storage, ids[run.trial]) for run in arm.runs] for arm in arms}
    leads = {
        pair_name(comparison, pair): lead
        for pair in comparison.pairs
        if len((lead := _lead(comparison, pair)).x) > 1
    }
    charts = [
        *_curve_charts(comparison, metric, {a.name: [run.curve for run in a.runs] for a in arms}),
        *_lead_charts(comparison, leads),
        *_curve_charts(comparison, "train_loss", losses),
    ]
    if not charts:
        return []
    return [
        "Is there a quick start that is paid for with a worse plateau? Then an arm is ahead at "
        "first and behind at the end. Intervals here are for one epoch looked at once, on the "
        "validation images; they tell where to look, and declare nothing.",
        Charts(charts),
        *([_lead_table(leads)] if leads else []),
    ]


def _losses(storage: HardenedStorage, trial_id: int) -> dict[int, float]:
    """Return a run's training loss by epoch; nothing where a loop reports none."""
    losses = {e.epoch: e.metrics.get("train_loss") for e in read_epochs(storage, trial_id)}
    return {epoch: loss for epoch, loss in losses.items() if loss is not None}


def _curve_charts(
    comparison: Comparison, metric: str, curves: Mapping[str, Sequence[Curve]]
) -> list[Chart]:
    """Draw the mean of a metric by epoch over the runs of each arm, with its band."""
    looks = arm_looks(comparison)
    means = {
        name: replace(mean, name=name, color=looks[name].color, dash=looks[name].dash)
        for name, own in curves.items()
        if len((mean := pointwise(own)).x) > 1
    }
    return split_charts(
        comparison,
        means,
        lambda name: [means[name]],
        key=f"curves-{metric}",
        title=f"Learning curves: {metric}",
        alt=f"Mean {metric} by epoch of",
        x_title="epoch",
        y_title=metric,
        caption="Mean over the confirming runs; the band is its pointwise 95% interval over seeds. "
        "A run that died is in it up to its end.",
    )


def _lead(comparison: Comparison, pair: Pair) -> Line:
    """Return how far a pair's arm is ahead at each epoch that both reached, by seed."""
    sign = 1 if comparison.spec.directions[0] == "maximize" else -1

    def difference(one: Run, other: Run) -> Curve:
        both = [epoch for epoch in one.curve if epoch in other.curve]
        return {epoch: sign * (one.curve[epoch] - other.curve[epoch]) for epoch in both}

    arm, other = comparison.arms[pair.arm], comparison.arms[pair.other]
    found = pointwise([*map(difference, arm.runs, other.runs)])
    name = pair_name(comparison, pair)
    look = pair_looks(comparison)[name]
    return replace(found, name=name, color=look.color, dash=look.dash)


def _lead_charts(comparison: Comparison, leads: Mapping[str, Line]) -> list[Chart]:
    """Draw how far each arm is ahead of the other of its pair, by epoch, on the same seeds."""
    against = comparison.spec.reference
    epochs = [epoch for lead in leads.values() for epoch in lead.x]
    return split_charts(
        comparison,
        leads,
        lambda name: [leads[name]],
        base=[zero_line(min(epochs), max(epochs))] if epochs else [],
        key="leads",
        title=f"Ahead of {against}, by epoch" if against else "Ahead, by epoch",
        alt="Mean difference by epoch of",
        x_title="epoch",
        y_title=f"ahead in {comparison.spec.metrics[0]}",
        caption="Mean paired difference of runs with the same seed, with its pointwise 95% "
        "interval: above 0 it is ahead at that epoch.",
    )


def _lead_table(leads: Mapping[str, Line]) -> Table:
    epochs = max((lead.x for lead in leads.values()), key=len)
    some = sorted({epochs[0], epochs[len(epochs) // 2], epochs[-1]})
    rows = []
    for name, lead in leads.items():
        values = [*zip(lead.y, lead.low or (), lead.high or (), strict=True)]
        words = {
            epoch: f"{signed(mean)} [{signed(low)}, {signed(high)}]"
            for epoch, (mean, low, high) in zip(lead.x, values, strict=True)
        }
        start, end = (_side(low, high) for _, low, high in (values[0], values[-1]))
        rows.append([name, f"{start}, then {end}", *(words.get(epoch, "-") for epoch in some)])
    return Table(
        ["arm", "start and end", *(f"after epoch {epoch}" for epoch in some)],
        rows,
        numeric=len(some),
        caption="Ahead, by epoch, with pointwise 95% intervals",
    )


def _side(low: float, high: float) -> str:
    """Say on which side of 0 an interval lies."""
    if low > 0:
        return "ahead"
    return "behind" if high < 0 else "not told apart"


def pointwise(curves: Iterable[Curve]) -> Line:
    """Return the mean of some curves at each epoch that two of them have, with its interval.

    The interval is Student's, for one epoch looked at once.
    """
    values: dict[int, list[float]] = {}
    for curve in curves:
        for epoch, value in curve.items():
            if math.isfinite(value):
                values.setdefault(epoch, []).append(value)
    epochs = sorted(epoch for epoch, found in values.items() if len(found) > 1)
    means = [float(np.mean(values[epoch])) for epoch in epochs]
    widths = [
        float(stdtrit(len(found) - 1, 1 - _POINTWISE_ERROR / 2))
        * float(np.std(found, ddof=1))
        / math.sqrt(len(found))
        for found in (values[epoch] for epoch in epochs)
    ]
    low = [mean - width for mean, width in zip(means, widths, strict=True)]
    high = [mean + width for mean, width in zip(means, widths, strict=True)]
    return Line(epochs, means, low=low, high=high)
