"""The charts of a study."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from storage import CONFIGURATION
from sweeps.reporting.findings import best_searched, complete_baselines, is_baseline, searched
from sweeps.reporting.formatting import brief
from sweeps.reporting.report.chart import (
    BLUE,
    COLORS,
    DASHES,
    GRAY,
    GREEN,
    VERMILLION,
    Bars,
    Chart,
    Line,
    Points,
)
from sweeps.reporting.report.settings import importances, setting_axis
from sweeps.reporting.report.trial_points import (
    Place,
    Range,
    cut_range,
    expected_best_line,
    last_value,
    trial_points,
)
from sweeps.study.attributes import METRICS
from sweeps.study.progress import Progress, pareto_front

# So many single curves are still told apart by eye; of more only the band is shown.
_MAX_CURVES = 60
_MAX_BASELINES = 4
_CUT = "The worst quarter of the trials lies below what is drawn: at the edge."


def course(progress: Progress) -> Chart | None:
    """Draw every trial's value in the order of the trials, and the best so far."""
    complete = _complete(progress)
    better = max if progress.direction == "maximize" else min
    best: list[float] = []
    for trial in complete:
        best.append(better([*best[-1:], trial.values[0]]))
    if not best:
        return None
    numbers = [*(trial.number for trial in complete), progress.trials[-1].number]
    y_range = _y_range(progress)
    return Chart(
        key="course",
        title="The course of the search",
        alt=f"The best {progress.metric} so far went from {best[0]:.4f} to {best[-1]:.4f} "
        f"over {len(progress.trials)} trials.",
        marks=[
            Line(numbers, [*best, best[-1]], "best so far", steps=True),
            *_points(progress, lambda trial: trial.number, y_range),
        ],
        x_title="trial",
        y_title=progress.metric,
        caption=_CUT if y_range else "",
        y_range=y_range,
    )


def curves(progress: Progress) -> Chart | None:
    """Draw the metric by epoch: the best trial, baselines, and the band of the others."""
    curves = {trial.number: _curve(trial) for trial in progress.trials}
    curves = {number: curve for number, curve in curves.items() if len(curve) > 1}
    best = best_searched(progress)
    others = [curves[trial.number] for trial in searched(progress) if trial.number in curves]
    marks: list[Line | Points] = []
    if 0 < len(others) <= _MAX_CURVES:
        marks += [Line([*c], [*c.values()], color=GRAY, width=0.4) for c in others]
    if others:
        marks.append(_band(others))
    if best is not None and best.number in curves:
        curve = curves[best.number]
        marks.append(Line([*curve], [*curve.values()], f"best: trial {best.number}", BLUE, width=2))
    baselines = complete_baselines(progress)[:_MAX_BASELINES]
    for index, trial in enumerate(trial for trial in baselines if trial.number in curves):
        curve, name = curves[trial.number], trial.user_attrs[CONFIGURATION]
        color, dash = COLORS[1 + index % 4], DASHES[1 + index % 3]
        marks.append(Line([*curve], [*curve.values()], name, color, dash))
    if not marks:
        return None
    return Chart(
        key="curves",
        title="Learning curves",
        alt=f"{progress.metric} by epoch of the best trial, the baselines and all others.",
        marks=marks,
        x_title="epoch",
        y_title=progress.metric,
        caption="The band holds the middle 80% of the searched trials that reached an epoch. "
        "Pruned ones leave it, so its later part shows the better ones.",
        y_range=_y_range(progress, epochs=True),
    )


def _curve(trial: FrozenTrial) -> dict[int, float]:
    values = sorted(trial.intermediate_values.items())
    return {epoch: value for epoch, value in values if math.isfinite(value)}


def _band(curves: Sequence[dict[int, float]]) -> Line:
    epochs = sorted({epoch for curve in curves for epoch in curve})
    values = ([curve[epoch] for curve in curves if epoch in curve] for epoch in epochs)
    quantiles = [np.quantile(of_epoch, (0.1, 0.5, 0.9)).tolist() for of_epoch in values]
    low, middle, high = zip(*quantiles, strict=True)
    return Line(epochs, middle, "median of the searched", GRAY, low=low, high=high)


def expected_best(progress: Progress) -> Chart | None:
    """Draw the best value that a search of n trials can expect, for each n up to its own number."""
    values = [last_value(t) for t in searched(progress) if t.state.is_finished()]
    scored = [value for value in values if value is not None]
    if len(scored) < 2:
        return None
    worst = min(scored) if progress.direction == "maximize" else max(scored)
    scored += [worst] * (len(values) - len(scored))
    line = expected_best_line(scored, progress.direction)
    return Chart(
        key="expected-best",
        title="What more trials bring",
        alt=f"The expected best {progress.metric} of 1 trial is {line.y[0]:.4f}, of "
        f"{len(line.y)} trials {line.y[-1]:.4f}.",
        marks=[line],
        x_title="trials",
        y_title=f"expected best {progress.metric}",
        caption="The mean best of n trials drawn from those searched (Dodge et al. 2019). Still "
        "steep at its end: more trials are worth their time. A pruned trial counts with its last "
        "value, one without a value as the worst.",
    )


def time(progress: Progress) -> Chart | None:
    """Draw the metric against the time of a training step, where trials recorded that."""
    timed = [
        (step, trial.values[0])
        for trial in _complete(progress)
        if (step := _step_ms(trial)) is not None
    ]
    if progress.metric == "step_ms" or len(timed) < 2:
        return None
    sign = -1 if progress.direction == "maximize" else 1
    front: list[tuple[float, float]] = []
    for step, value in sorted(timed, key=lambda pair: (pair[0], sign * pair[1])):
        if not front or sign * value < sign * front[-1][1]:
            front.append((step, value))
    y_range = _y_range(progress)
    steps = [step for step, _ in timed]
    return Chart(
        key="step-time",
        title="Quality against time",
        alt=f"{progress.metric} against the milliseconds of a step; {len(front)} of {len(timed)} "
        "complete trials are beaten by none.",
        marks=[
            Line(*_axes(front), "beaten by none", GREEN, "dashed", steps=True),
            *_points(progress, _step_ms, y_range),
        ],
        x_title="milliseconds of a training step",
        y_title=progress.metric,
        log_x=min(steps) > 0 and max(steps) / min(steps) > 10,
        caption="Measured while the sweep ran, beside whatever else ran: compare within one study.",
        y_range=y_range,
    )


def front(progress: Progress) -> Chart:
    """Draw the first two objectives of all complete trials, and their Pareto front."""
    front = pareto_front(progress.trials, progress.directions)
    line = sorted((t.values[1], t.values[0]) for t in front if math.isfinite(sum(t.values)))
    y_title, x_title = (f"{progress.metrics[i]} ({progress.directions[i]})" for i in (0, 1))
    return Chart(
        key="front",
        title="The Pareto front",
        alt=f"{progress.metric} against {progress.metrics[1]}; {len(front)} trials are beaten by "
        "none.",
        marks=[
            Line(*_axes(line), "Pareto front", GREEN, "dashed"),
            *_points(progress, lambda trial: trial.values[1] if trial.values else None, None),
        ],
        x_title=x_title,
        y_title=y_title,
        caption="No trial is better by every objective than one on the front."
        + (" Only the first two objectives are drawn." if len(progress.metrics) > 2 else ""),
    )


def setting(progress: Progress, name: str) -> Chart:
    """Draw each trial's value against one of its parameters."""
    place, axis = setting_axis(name, progress.trials)
    best, y_range = best_searched(progress), _y_range(progress)
    at = "" if best is None else f" The best trial has {brief(best.params.get(name))}."
    return Chart(
        alt=f"{progress.metric} against {name}.{at}",
        marks=_points(progress, place, y_range, legend=False),
        y_title=progress.metric,
        y_range=y_range,
        **axis,
    )


def importance(study: optuna.Study, progress: Progress) -> Chart | None:
    """Draw how much each parameter matters, where that can be said."""
    found = importances(study, progress.trials)
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


def _points(
    progress: Progress, place: Place, y_range: Range, *, legend: bool = True
) -> list[Points]:
    """Draw all trials: searched, ended early, baselines, and the best."""
    best = best_searched(progress)
    ended = [t for t in progress.trials if t.state.is_finished() and t is not best]
    sampled = [t for t in ended if not is_baseline(t)]
    early = [t for t in sampled if t.state is not TrialState.COMPLETE]
    whole = [t for t in sampled if t.state is TrialState.COMPLETE]
    baselines = [t for t in ended if is_baseline(t)]

    def draw(trials: Iterable[FrozenTrial], name: str, *look: Any) -> list[Points]:
        fields = dict(zip(("color", "shape", "filled", "size"), look, strict=True))
        return trial_points(trials, place, y_range, name=name if legend else "", **fields)

    return [
        *draw(early, "ended early", GRAY, "triangle", False, 3.5),
        *draw(whole, "searched", BLUE, "circle", True, 4),
        *draw(baselines, "baseline", VERMILLION, "diamond", False, 4.5),
        *draw([] if best is None else [best], "best", BLUE, "star", True, 10),
    ]


def _complete(progress: Progress) -> list[FrozenTrial]:
    """Return the trials that are complete with a finite value."""
    complete = [trial for trial in progress.trials if trial.state is TrialState.COMPLETE]
    return [trial for trial in complete if last_value(trial) is not None]


def _step_ms(trial: FrozenTrial) -> float | None:
    step: float | None = trial.user_attrs.get(METRICS, {}).get("step_ms")
    return step


def _axes(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _y_range(progress: Progress, *, epochs: bool = False) -> Range:
    """Return the range of y that leaves out what is far from the best; ``None`` for all.

    The worst quarter of the trials is left out, or with ``epochs`` the worst tenth of all epochs.
    """
    values = [v for t in progress.trials if (v := last_value(t)) is not None]
    if not epochs:
        return cut_range(values, progress.direction)
    values += [v for t in progress.trials for v in _curve(t).values()]
    return cut_range(values, progress.direction, 0.1)
