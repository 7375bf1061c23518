"""The charts of a study."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from storage import CONFIGURATION
from sweeps.reporting.findings import latest_baselines
from sweeps.reporting.report.chart import (
    BLUE,
    COLORS,
    DASHES,
    GRAY,
    GREEN,
    VERMILLION,
    Chart,
    Line,
    Points,
)
from sweeps.study.attributes import METRICS
from sweeps.study.progress import Progress, best_first, outcome_of, pareto_front
from sweeps.verdicts import expected_best

# So many single curves are still told apart by eye; of more only the band is shown.
_MAX_CURVES = 60
_MAX_BASELINES = 4
_CUT = "The worst quarter of the trials lies below what is drawn: at the edge."
# Of fewer values none is left out.
_FEWEST_TO_CUT = 8


def searched(progress: Progress) -> list[FrozenTrial]:
    """Return the trials whose settings a sampler picked."""
    return [trial for trial in progress.trials if CONFIGURATION not in trial.user_attrs]


def best_searched(progress: Progress) -> FrozenTrial | None:
    """Return the best trial that is no baseline; ``None`` if none is complete."""
    return next(iter(best_first(searched(progress), progress.directions)), None)


def last_value(trial: FrozenTrial) -> float | None:
    """Return a trial's value, or the last that it reported before it was ended."""
    if trial.values:
        value = trial.values[0]
    elif trial.intermediate_values:
        value = trial.intermediate_values[max(trial.intermediate_values)]
    else:
        return None
    return value if math.isfinite(value) else None


def course_chart(progress: Progress) -> Chart | None:
    """Draw every trial's value in the order of the trials, and the best so far."""
    complete = [trial for trial in progress.trials if trial.state is TrialState.COMPLETE]
    complete = [trial for trial in complete if last_value(trial) is not None]
    better = max if progress.direction == "maximize" else min
    numbers: list[float] = []
    best: list[float] = []
    for trial in complete:
        numbers.append(trial.number)
        best.append(better([*best[-1:], trial.values[0]]))
    if not best:
        return None
    line = Line(
        [*numbers, progress.trials[-1].number], [*best, best[-1]], "best so far", steps=True
    )
    y_range = y_range_of(progress)
    return Chart(
        key="course",
        title="The course of the search",
        alt=f"The best {progress.metric} so far went from {best[0]:.4f} to {best[-1]:.4f} "
        f"over {len(progress.trials)} trials.",
        marks=[line, *points_of(progress, lambda trial: trial.number, y_range)],
        x_title="trial",
        y_title=progress.metric,
        caption=_CUT if y_range else "",
        y_range=y_range,
    )


def curves_chart(progress: Progress) -> Chart | None:
    """Draw the metric by epoch: the best trial, baselines, and the band of the others."""
    curves = {trial.number: _curve(trial) for trial in progress.trials}
    curves = {number: curve for number, curve in curves.items() if len(curve) > 1}
    best = best_searched(progress)
    others = [curves[trial.number] for trial in searched(progress) if trial.number in curves]
    marks: list[Line | Points] = []
    if others:
        if len(others) <= _MAX_CURVES:
            marks += [Line([*c], [*c.values()], color=GRAY, width=0.4) for c in others]
        marks.append(_band(others))
    if best is not None and best.number in curves:
        curve = curves[best.number]
        marks.append(Line([*curve], [*curve.values()], f"best: trial {best.number}", BLUE, width=2))
    baselines = best_first(latest_baselines(progress), progress.directions)[:_MAX_BASELINES]
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
        y_range=y_range_of(progress, epochs=True),
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


def expected_best_chart(progress: Progress) -> Chart | None:
    """Draw the best value that a search of n trials can expect, for each n up to its own number."""
    values = [last_value(t) for t in searched(progress) if t.state.is_finished()]
    scored = [value for value in values if value is not None]
    if len(scored) < 2:
        return None
    sign = 1 if progress.direction == "maximize" else -1
    worst = min(scored) if sign > 0 else max(scored)
    scored += [worst] * (len(values) - len(scored))
    means = expected_best([sign * value for value in scored])
    counts = range(1, len(scored) + 1)
    return Chart(
        key="expected-best",
        title="What more trials bring",
        alt=f"The expected best {progress.metric} of 1 trial is {sign * means[0]:.4f}, of "
        f"{len(means)} trials {sign * means[-1]:.4f}.",
        marks=[Line([*counts], [sign * mean for mean in means])],
        x_title="trials",
        y_title=f"expected best {progress.metric}",
        caption="The mean best of n trials drawn from those searched (Dodge et al. 2019). Still "
        "steep at its end: more trials are worth their time. A pruned trial counts with its last "
        "value, one without a value as the worst.",
    )


def time_chart(progress: Progress) -> Chart | None:
    """Draw the metric against the time of a training step, where trials recorded that."""
    if progress.metric == "step_ms":
        return None
    timed = [
        (trial, step)
        for trial in progress.trials
        if trial.state is TrialState.COMPLETE
        and last_value(trial) is not None
        and (step := trial.user_attrs.get(METRICS, {}).get("step_ms")) is not None
    ]
    if len(timed) < 2:
        return None
    sign = -1 if progress.direction == "maximize" else 1
    front: list[tuple[float, float]] = []
    for trial, step in sorted(timed, key=lambda pair: (pair[1], sign * pair[0].values[0])):
        if not front or sign * trial.values[0] < sign * front[-1][1]:
            front.append((step, trial.values[0]))
    y_range = y_range_of(progress)
    return Chart(
        key="step-time",
        title="Quality against time",
        alt=f"{progress.metric} against the milliseconds of a step; {len(front)} of {len(timed)} "
        "complete trials are beaten by none.",
        marks=[
            Line(*_axes(front), "beaten by none", GREEN, "dashed", steps=True),
            *points_of(
                progress,
                lambda trial: trial.user_attrs.get(METRICS, {}).get("step_ms"),
                y_range,
            ),
        ],
        x_title="milliseconds of a training step",
        y_title=progress.metric,
        log_x=_spans_decades(step for _, step in timed),
        caption="Measured while the sweep ran, beside whatever else ran: compare within one study.",
        y_range=y_range,
    )


def _spans_decades(values: Iterable[float]) -> bool:
    least, *_, most = sorted(values)
    return least > 0 and most / least > 10


def front_chart(progress: Progress) -> Chart:
    """Draw the first two objectives of all complete trials, and their Pareto front."""
    front = pareto_front(progress.trials, progress.directions)
    line = sorted((t.values[1], t.values[0]) for t in front if math.isfinite(sum(t.values)))
    (x_name, x_way), (y_name, y_way) = (
        (progress.metrics[i], progress.directions[i]) for i in (1, 0)
    )
    return Chart(
        key="front",
        title="The Pareto front",
        alt=f"{y_name} against {x_name}; {len(front)} trials are beaten by none.",
        marks=[
            Line(*_axes(line), "Pareto front", GREEN, "dashed"),
            *points_of(progress, lambda trial: trial.values[1] if trial.values else None, None),
        ],
        x_title=f"{x_name} ({x_way})",
        y_title=f"{y_name} ({y_way})",
        caption="No trial is better by every objective than one on the front."
        + (" Only the first two objectives are drawn." if len(progress.metrics) > 2 else ""),
    )


def points_of(
    progress: Progress,
    place: Callable[[FrozenTrial], float | None],
    y_range: tuple[float, float] | None,
    *,
    legend: bool = True,
) -> list[Points]:
    """Return all trials' values as points: searched, pruned, baselines, and the best.

    Those outside of the range are drawn at its edge.
    """
    low, high = y_range or (-math.inf, math.inf)
    best = best_searched(progress)
    kinds: dict[str, list[FrozenTrial]] = {"ended early": [], "searched": [], "baseline": []}
    for trial in progress.trials:
        if not trial.state.is_finished() or trial is best:
            continue
        if CONFIGURATION in trial.user_attrs:
            kinds["baseline"].append(trial)
        else:
            complete = trial.state is TrialState.COMPLETE
            kinds["searched" if complete else "ended early"].append(trial)
    kinds["best"] = [best] if best is not None else []
    looks: dict[str, Any] = {
        "ended early": {"color": GRAY, "shape": "triangle", "filled": False, "size": 3.5},
        "searched": {"color": BLUE, "shape": "circle", "size": 4},
        "baseline": {"color": VERMILLION, "shape": "diamond", "filled": False, "size": 4.5},
        "best": {"color": BLUE, "shape": "star", "size": 10},
    }
    marks = []
    for kind, trials in kinds.items():
        placed = [
            (x, min(max(y, low), high), trial)
            for trial in trials
            if (x := place(trial)) is not None
            and math.isfinite(x)
            and (y := last_value(trial)) is not None
        ]
        if placed:
            xs, ys, those = zip(*placed, strict=True)
            name = kind if legend else ""
            marks.append(Points(xs, ys, name, labels=[describe(t) for t in those], **looks[kind]))
    return marks


def _axes(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def describe(trial: FrozenTrial) -> str:
    """Say which trial it is, in a few words."""
    named = trial.user_attrs.get(CONFIGURATION)
    return f"trial {trial.number}, {named or outcome_of(trial)}"


def brief(value: object) -> str:
    """Write a setting's value: four digits of a number."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def y_range_of(progress: Progress, *, epochs: bool = False) -> tuple[float, float] | None:
    """Return the range of y that leaves out what is far from the best; ``None`` for all.

    The worst quarter of the trials is left out, or with ``epochs`` the worst tenth of all epochs.
    """
    values = [v for t in progress.trials if (v := last_value(t)) is not None]
    if epochs:
        values += [v for t in progress.trials for v in _curve(t).values()]
    return cut_range(values, progress.direction, 0.1 if epochs else 0.25)


def cut_range(values: Sequence[float], direction: str, share: float) -> tuple[float, float] | None:
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
