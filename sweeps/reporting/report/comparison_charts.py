"""The charts of a comparison. Each arm has the same color, line and shape in all of them."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState
from scipy.special import stdtrit

from sweeps.reporting.report.chart import (
    COLORS,
    DASHES,
    GRAY,
    Chart,
    Dash,
    Intervals,
    Line,
    Mark,
    Points,
    Shape,
    shown,
)
from sweeps.reporting.report.setting_charts import SettingAxis, axis_of, setting_key
from sweeps.reporting.report.study_charts import cut_range, describe, last_value
from sweeps.study.comparison import ArmResult, Comparison, Pair
from sweeps.verdicts import expected_best

#: More lines than so many are not told apart: there are several charts instead, each with the
#: reference.
_MOST_LINES = 5
#: A circle is the reference, a star what was chosen. As many as dashes, and fewer than colors, so
#: that twelve arms look different.
_ARM_SHAPES: tuple[Shape, ...] = ("square", "triangle", "diamond", "cross")
#: Pointwise intervals miss the mean with this probability, at each epoch.
_POINTWISE_ERROR = 0.05


@dataclass(frozen=True)
class Look:
    """How an arm, or a pair of arms, is drawn."""

    color: str
    dash: Dash
    shape: Shape


def looks(comparison: Comparison) -> dict[str, Look]:
    """Return how each arm is drawn: the reference gray and solid."""
    others = [name for name in comparison.arms if name != comparison.spec.reference]
    found = {name: _look(index) for index, name in enumerate(others)}
    if comparison.spec.reference is not None:
        found[comparison.spec.reference] = Look(GRAY, "solid", "circle")
    return found


def _look(index: int) -> Look:
    dash = DASHES[(index + 1) % len(DASHES)]
    return Look(COLORS[index % len(COLORS)], dash, _ARM_SHAPES[index % len(_ARM_SHAPES)])


def pair_looks(comparison: Comparison) -> dict[tuple[str, str], Look]:
    """Return how each pair is drawn: as its arm, where all have the same other one."""
    arms = looks(comparison)
    return {
        (pair.arm, pair.other): _look(index)
        if comparison.spec.reference is None
        else arms[pair.arm]
        for index, pair in enumerate(comparison.pairs)
    }


def pair_name(comparison: Comparison, pair: Pair) -> str:
    """Name a pair: as its arm, where all have the same other one."""
    return pair.arm if comparison.spec.reference else f"{pair.arm} - {pair.other}"


def verdicts_chart(comparison: Comparison, pairs: Sequence[Pair], key: str) -> Chart | None:
    """Draw each pair's difference with its interval, where it has one yet."""
    known = [pair for pair in pairs if math.isfinite(pair.verdict.low)]
    if not known:
        return None
    spec, drawn = comparison.spec, pair_looks(comparison)
    look = [drawn[pair.arm, pair.other] for pair in known]
    margin = spec.margin
    return Chart(
        key=key,
        title=f"Ahead of {spec.reference}" if spec.reference else "Differences",
        alt="; ".join(
            f"{pair_name(comparison, pair)} {signed(pair.verdict.mean)} "
            f"[{signed(pair.verdict.low)}, {signed(pair.verdict.high)}]"
            for pair in known
        ),
        marks=[
            Intervals(
                [pair_name(comparison, pair) for pair in known],
                [pair.verdict.mean for pair in known],
                [pair.verdict.low for pair in known],
                [pair.verdict.high for pair in known],
                [each.color for each in look],
                [each.shape for each in look],
                margin,
            )
        ],
        x_title=f"{spec.measured.name}: difference, better to the right",
        caption=f"Shaded: the margin of {margin:g}. An interval that is all to the right of 0 "
        "declares better, to the left worse, and one all in the shade equal.",
    )


def course_charts(comparison: Comparison) -> list[Chart]:
    """Draw each pair's mean difference and confidence sequence against the number of seeds."""
    drawn = pair_looks(comparison)
    return [
        _course_chart(comparison, pair, drawn[pair.arm, pair.other], index)
        for index, pair in enumerate(comparison.pairs)
        if len(pair.differences) > 1
    ]


def _course_chart(comparison: Comparison, pair: Pair, look: Look, index: int) -> Chart:
    margin, verdict = comparison.spec.margin, pair.verdict
    counts = [*range(1, len(pair.differences) + 1)]
    means = (np.cumsum(pair.differences) / counts).tolist()
    finite = [n for n in counts if math.isfinite(pair.low[n - 1])]
    ends = [side[n - 1] for n in finite[-1:] for side in (pair.low, pair.high)]
    limit = 1.5 * max(map(abs, (margin, means[-1], *ends)))
    points = [min(max(each, -limit), limit) for each in pair.differences]
    marks: list[Line | Points] = [
        Line([1, len(counts)], [0, 0], color=GRAY, width=0.8),
        *(
            Line([1, len(counts)], [side, side], name, GRAY, "dotted", 1.2)
            for side, name in ((margin, f"margin {margin:g}"), (-margin, ""))
        ),
        Points(counts, points, "difference of a seed", GRAY, filled=False, size=3.5),
        Line(counts, means, "mean", look.color),
    ]
    if len(finite) == 1:
        marks.append(Line(finite * 2, ends, color=look.color))
    elif finite:
        lows, highs = ([side[n - 1] for n in finite] for side in (pair.low, pair.high))
        # Drawn again over its own band.
        part = [means[n - 1] for n in finite]
        marks.append(Line(finite, part, color=look.color, low=lows, high=highs))
    words = f"{verdict.declaration} after {verdict.seeds} seeds"
    if not verdict.is_settled and verdict.seeds_needed is not None:
        words += f"; {verdict.seeds_needed:,} would settle it if mean and spread stayed"
    return Chart(
        key=f"sequence-{index}",
        title=shown(f"{pair.arm} against {pair.other}", 60),
        alt=f"The mean difference is {signed(means[-1])} after {len(counts)} seeds: {words}.",
        marks=marks,
        x_title="seeds",
        y_title=f"ahead in {comparison.spec.measured.name}",
        caption=f"{words[0].upper()}{words[1:]}.",
        y_range=(-1.06 * limit, 1.06 * limit),
    )


def curve_charts(
    comparison: Comparison, metric: str, curves: Mapping[str, Sequence[Mapping[int, float]]]
) -> list[Chart]:
    """Draw the mean of a metric by epoch over the confirming runs of each arm, with its band.

    Args:
        comparison: the comparison.
        metric: its name.
        curves: by arm, its values by epoch in each run.
    """
    drawn = looks(comparison)
    means = {name: mean for name in curves if len(mean := pointwise(curves[name])) > 1}
    return _split(
        comparison,
        means,
        lambda names: [means[name].line(name, drawn[name]) for name in names],
        key=f"curves-{metric}",
        title=f"Learning curves: {metric}",
        alt=f"Mean {metric} by epoch of",
        x_title="epoch",
        y_title=metric,
        caption="Mean over the confirming runs; the band is its pointwise 95% interval over seeds. "
        "A run that died is in it up to its end.",
    )


def lead_charts(comparison: Comparison) -> list[Chart]:
    """Draw how far each arm is ahead of the other of its pair, by epoch, on the same seeds."""
    drawn = pair_looks(comparison)
    found = {
        pair_name(comparison, pair): (lead, drawn[pair.arm, pair.other])
        for pair in comparison.pairs
        if len(lead := leads(comparison, pair)) > 1
    }
    against = comparison.spec.reference

    def marks(names: list[str]) -> list[Mark]:
        epochs = [epoch for name in names for epoch in found[name][0].epochs]
        zero = Line([min(epochs), max(epochs)], [0, 0], color=GRAY, width=0.8)
        return [zero, *(found[name][0].line(name, found[name][1]) for name in names)]

    return _split(
        comparison,
        found,
        marks,
        key="leads",
        title=f"Ahead of {against}, by epoch" if against else "Ahead, by epoch",
        alt="Mean difference by epoch of",
        x_title="epoch",
        y_title=f"ahead in {tuned_metric(comparison)}",
        caption="Mean paired difference of runs with the same seed, with its pointwise 95% "
        "interval: above 0 it is ahead at that epoch.",
    )


@dataclass(frozen=True)
class Pointwise:
    """Means by epoch with their intervals, each at its own epoch."""

    epochs: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]

    def __len__(self) -> int:
        return len(self.epochs)

    def line(self, name: str, look: Look) -> Line:
        return Line(
            self.epochs, self.mean, name, look.color, look.dash, low=self.low, high=self.high
        )

    def at(self, index: int) -> str:
        """Write a value with its interval: ``+0.0210 [+0.0100, +0.0320]``."""
        mean, low, high = self.mean[index], self.low[index], self.high[index]
        return f"{signed(mean)} [{signed(low)}, {signed(high)}]"

    def at_epoch(self, epoch: int) -> str:
        """Write the value of an epoch; a dash for one that it does not have."""
        return self.at(self.epochs.index(epoch)) if epoch in self.epochs else "-"

    def side(self, index: int) -> str:
        """Say on which side of 0 an interval lies."""
        if self.low[index] > 0:
            return "ahead"
        return "behind" if self.high[index] < 0 else "not told apart"


def leads(comparison: Comparison, pair: Pair) -> Pointwise:
    """Return how far a pair's arm is ahead at each epoch that both reached, by seed."""
    sign = 1 if tuned_direction(comparison) == "maximize" else -1
    both = zip(comparison.arms[pair.arm].runs, comparison.arms[pair.other].runs, strict=False)
    return pointwise(
        [
            {
                epoch: sign * (value - other.curve[epoch])
                for epoch, value in one.curve.items()
                if epoch in other.curve
            }
            for one, other in both
        ]
    )


def pointwise(curves: Sequence[Mapping[int, float]]) -> Pointwise:
    """Return the mean of some curves at each epoch that two of them have, with its interval.

    The interval is Student's, for one epoch looked at once.
    """
    found: list[tuple[int, float, float, float]] = []
    for epoch in sorted({epoch for curve in curves for epoch in curve}):
        values = [curve[epoch] for curve in curves if math.isfinite(curve.get(epoch, math.nan))]
        if (count := len(values)) < 2:
            continue
        mean = float(np.mean(values))
        spread = float(np.std(values, ddof=1)) / math.sqrt(count)
        width = float(stdtrit(count - 1, 1 - _POINTWISE_ERROR / 2)) * spread
        found.append((epoch, mean, mean - width, mean + width))
    epochs, means, low, high = map(list, zip(*found, strict=True)) if found else ([], [], [], [])
    return Pointwise(epochs, means, low, high)


def cost_charts(comparison: Comparison) -> list[Chart]:
    """Draw what each arm reaches against what it costs: the time of a step, and arithmetic."""
    kinds: dict[str, tuple[str, str, Callable[[ArmResult], float | None], str]] = {
        "step-time": (
            "Quality against time",
            "milliseconds of a training step",
            lambda arm: arm.step_ms,
            "Medians over the confirming runs, which the arms took in turns on the same machine.",
        ),
        "multiply-adds": (
            "Quality against arithmetic",
            "million multiply-adds of a forward pass",
            lambda arm: arm.multiply_adds / 1e6 if arm.multiply_adds else None,
            "Of one image, through the whole network.",
        ),
    }
    charts = []
    for key, (title, x_title, cost, caption) in kinds.items():
        placed = {
            name: (x, arm)
            for name, arm in comparison.arms.items()
            if arm.runs and (x := cost(arm)) is not None
        }
        if len(placed) < 2:
            continue
        charts.append(
            Chart(
                key=key,
                title=title,
                alt="; ".join(f"{n}: {arm.mean:.4f} at {x:.3g}" for n, (x, arm) in placed.items()),
                marks=[m for n, (x, arm) in placed.items() for m in _cross(comparison, n, x, arm)],
                x_title=x_title,
                y_title=comparison.spec.measured.name,
                x_range=(0, 1.1 * max(x for x, _ in placed.values())),
                caption=f"{caption} Bars are the intervals of the means.",
            )
        )
    return charts


def _cross(comparison: Comparison, name: str, x: float, arm: ArmResult) -> list[Line | Points]:
    look = looks(comparison)[name]
    low, high = arm.interval(comparison.spec.error)
    bar = [Line([x, x], [low, high], color=look.color, width=1.6)] if math.isfinite(low) else []
    return [*bar, Points([x], [arm.mean], name, look.color, look.shape, size=6, labels=[name])]


def expected_best_charts(comparison: Comparison) -> list[Chart]:
    """Draw the best value that each arm can expect of n settings, and what tuning found."""
    drawn, metric = looks(comparison), tuned_metric(comparison)
    sign = 1 if tuned_direction(comparison) == "maximize" else -1
    explored = any(arm.explored for arm in comparison.arms.values())
    tried = {
        name: values
        for name, arm in comparison.arms.items()
        if len(values := arm.explored if explored else arm.searched) > 1
    }

    def marks(names: list[str]) -> list[Line | Points]:
        found: list[Line | Points] = []
        for name in names:
            look, arm = drawn[name], comparison.arms[name]
            means = [sign * each for each in expected_best([sign * v for v in tried[name]])]
            found.append(Line([*range(1, len(means) + 1)], means, name, look.color, look.dash))
            if arm.choice is not None:
                count = len(arm.explored) + len(arm.searched)
                star = Points([count], [arm.choice.value], "", look.color, "star", size=8)
                found.append(star)
        return found

    return _split(
        comparison,
        tried,
        marks,
        key="expected-best",
        title="What tuning brings",
        alt=f"The expected best {metric} against the number of settings tried, of",
        x_title="settings tried",
        y_title=f"expected best {metric}",
        caption="The mean best of n settings drawn from those "
        + ("explored, which are quasi-random and not pruned" if explored else "tuned")
        + " (Dodge et al. 2019); a run that died counts as guessing. Stars: what exploring and "
        "tuning together chose.",
    )


def setting_charts(
    comparison: Comparison,
    trials: Mapping[str, Sequence[FrozenTrial]],
    chosen: Mapping[str, FrozenTrial],
) -> list[Chart]:
    """Draw the values of each arm's trials against each setting that was tuned.

    Args:
        comparison: the comparison.
        trials: those of exploring and tuning that have ended and have a value, by arm.
        chosen: of each arm the one whose settings were confirmed.
    """
    drawn, metric = looks(comparison), tuned_metric(comparison)
    everything = [trial for own in trials.values() for trial in own]
    values = [value for trial in everything if (value := last_value(trial)) is not None]
    y_range = cut_range(values, tuned_direction(comparison), 0.25)
    charts: list[Chart] = []
    for setting in dict.fromkeys(name for trial in everything for name in trial.distributions):
        if len({str(trial.params.get(setting)) for trial in everything}) < 2:
            continue
        axis = axis_of(setting, everything)

        def marks(names: list[str], axis: SettingAxis = axis) -> list[Line | Points]:
            found = []
            for name in names:
                ended = [t for t in trials[name] if t.state is not TrialState.COMPLETE]
                whole = [t for t in trials[name] if t.state is TrialState.COMPLETE]
                look = drawn[name]
                points = _SettingPoints(axis, y_range, name, look.color)
                found += [
                    points.of(ended, "", shape=look.shape, filled=False, size=3.5),
                    points.of(whole, name, shape=look.shape, size=4),
                ]
                if name in chosen:
                    found.append(points.of([chosen[name]], "", shape="star", size=10))
            return [each for each in found if each.x]

        having = {arm: own for arm, own in trials.items() if any(setting in t.params for t in own)}
        charts += _split(
            comparison,
            having,
            marks,
            key=setting_key(setting),
            title=shown(setting),
            alt=f"{metric} against {setting} of",
            x_title=setting,
            y_title=metric,
            log_x=axis.log,
            x_ticks=axis.ticks,
            x_range=axis.range,
            y_range=y_range,
        )
    return charts


@dataclass(frozen=True)
class _SettingPoints:
    """Makes the points of an arm's trials; those outside of the range of y lie at its edge."""

    axis: SettingAxis
    y_range: tuple[float, float] | None
    arm: str
    color: str

    def of(self, trials: Iterable[FrozenTrial], name: str, **look: Any) -> Points:
        low, high = self.y_range or (-math.inf, math.inf)
        placed = [
            (x, min(max(y, low), high), f"{self.arm}, {describe(trial)}")
            for trial in trials
            if (x := self.axis.place(trial)) is not None and (y := last_value(trial)) is not None
        ]
        xs, ys, labels = zip(*placed, strict=True) if placed else ((), (), ())
        return Points(xs, ys, name, self.color, labels=labels, **look)


def signed(value: float) -> str:
    """Write a difference: ``+0.0123``."""
    return f"{value:+.4f}"


def tuned_metric(comparison: Comparison) -> str:
    """The metric of the validation part, which tuning and learning curves are about."""
    assert comparison.spec.metric is not None
    return comparison.spec.metric.name


def tuned_direction(comparison: Comparison) -> str:
    """The direction of :func:`tuned_metric`."""
    assert comparison.spec.metric is not None
    return comparison.spec.metric.direction


def _split(
    comparison: Comparison,
    having: Iterable[str],
    marks: Callable[[list[str]], Sequence[Mark]],
    *,
    key: str,
    title: str,
    alt: str,
    caption: str = "",
    **settings: Any,
) -> list[Chart]:
    """Draw arms in as many charts as it takes to tell them apart, the reference in each.

    Args:
        comparison: the comparison.
        having: the arms that have something to be drawn.
        marks: draws some of them.
        key, title, alt: of the charts; each gets its number, and the names of what is drawn.
        caption: of the first one.
        settings: others of :class:`Chart`.
    """
    names = [*having]
    always = [name for name in names if name == comparison.spec.reference]
    parts = _parts([name for name in names if name not in always], _MOST_LINES - len(always))
    if not parts and always:
        parts = [[]]
    return [
        Chart(
            key=f"{key}-{number}",
            title=title if len(parts) == 1 else f"{title}, {number} of {len(parts)}",
            alt=f"{alt} {', '.join([*always, *part])}.",
            marks=marks([*always, *part]),
            caption=caption if number == 1 else "",
            **settings,
        )
        for number, part in enumerate(parts, start=1)
    ]


def _parts(names: list[str], most: int) -> list[list[str]]:
    return [names[start : start + most] for start in range(0, len(names), most)]
