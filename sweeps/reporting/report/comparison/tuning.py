"""The sections of a comparison's tuning: what it chose, what it brings, and each setting alone."""

from collections.abc import Mapping, Sequence
from functools import partial

from optuna.trial import FrozenTrial, TrialState

from storage import HardenedStorage, open_study
from sweeps.reporting.formatting import brief
from sweeps.reporting.report.chart import Chart, Line, Points
from sweeps.reporting.report.comparison.looks import arm_looks, split_charts
from sweeps.reporting.report.document import Block, Charts, Table, Warning, side_by_side
from sweeps.reporting.report.settings import edge_warnings, importances, setting_axis
from sweeps.reporting.report.trial_points import (
    Place,
    cut_range,
    expected_best_line,
    last_value,
    trial_points,
)
from sweeps.study.comparison import Comparison
from sweeps.study.progress import Progress
from sweeps.study.stages import explore_name

Chosen = Mapping[str, FrozenTrial]


def tuning(comparison: Comparison, chosen: Chosen) -> list[Block]:
    """Write the section of what tuning chose: of each arm the trial that was confirmed."""
    names = [*dict.fromkeys(name for trial in chosen.values() for name in trial.params)]
    rows = []
    for name, arm in comparison.arms.items():
        if arm.choice is None:
            continue
        explored = arm.choice.study == explore_name(comparison.name, name)
        found = [brief(chosen[name].params.get(setting, "-")) for setting in names]
        stage = "explore" if explored else "tune"
        rows.append([name, f"{stage} {arm.choice.trial}", brief(arm.choice.value), *found])
    caption = "The settings that were confirmed, chosen by the validation images alone"
    header = ["arm", "trial", comparison.spec.metrics[0], *names]
    return [
        *([Table(header, rows, len(names) + 1, caption)] if rows else []),
        *side_by_side(_expected_best_charts(comparison)),
    ]


def _expected_best_charts(comparison: Comparison) -> list[Chart]:
    """Draw the best value that each arm can expect of n settings, and what tuning found."""
    looks, metric = arm_looks(comparison), comparison.spec.metrics[0]
    explored = any(arm.explored for arm in comparison.arms.values())
    tried = {
        name: values
        for name, arm in comparison.arms.items()
        if len(values := arm.explored if explored else arm.searched) > 1
    }

    def draw(name: str) -> list[Line | Points]:
        look, arm = looks[name], comparison.arms[name]
        direction = comparison.spec.directions[0]
        line = expected_best_line(tried[name], direction, name, look.color, look.dash)
        if arm.choice is None:
            return [line]
        count = len(arm.explored) + len(arm.searched)
        return [line, Points([count], [arm.choice.value], "", look.color, "star", size=8)]

    return split_charts(
        comparison,
        tried,
        draw,
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


def each_setting(
    storage: HardenedStorage,
    comparison: Comparison,
    stages: Mapping[str, Sequence[Progress]],
    chosen: Chosen,
) -> list[Block]:
    """Write the section of each setting alone.

    Args:
        storage: where the comparison is.
        comparison: the comparison.
        stages: by arm, its studies of exploring and tuning.
        chosen: of each arm the trial whose settings were confirmed.
    """
    trials = {
        arm: [
            trial
            for progress in own
            for trial in progress.trials
            if trial.state.is_finished() and last_value(trial) is not None
        ]
        for arm, own in stages.items()
    }
    charts = _setting_charts(comparison, trials, chosen)
    if not charts:
        return []
    return [
        "Every point is a trial of exploring or tuning: its value against one of its settings, "
        "whatever the others were. Stars are the settings that are confirmed; hollow points ended "
        "early, with the last value they had. The worst quarter lies at the edge of each chart.",
        *(Warning(f"{arm}: {text}") for arm, one in chosen.items() for text in edge_warnings(one)),
        Charts(charts),
        *_importance(storage, comparison, stages),
    ]


def _setting_charts(
    comparison: Comparison, trials: Mapping[str, Sequence[FrozenTrial]], chosen: Chosen
) -> list[Chart]:
    """Draw the values of each arm's trials against each setting that was tuned."""
    metric, direction = comparison.spec.metrics[0], comparison.spec.directions[0]
    everything = [trial for own in trials.values() for trial in own]
    values = [value for trial in everything if (value := last_value(trial)) is not None]
    y_range = cut_range(values, direction)
    looks = arm_looks(comparison)
    charts: list[Chart] = []
    for setting in dict.fromkeys(name for trial in everything for name in trial.distributions):
        if len({str(trial.params.get(setting)) for trial in everything}) < 2:
            continue
        place, axis = setting_axis(setting, everything)

        def draw(arm: str, place: Place = place) -> list[Points]:
            look = looks[arm]
            points = partial(
                trial_points, place=place, y_range=y_range, owner=arm, color=look.color
            )
            early = [trial for trial in trials[arm] if trial.state is not TrialState.COMPLETE]
            whole = [trial for trial in trials[arm] if trial.state is TrialState.COMPLETE]
            return [
                *points(early, shape=look.shape, filled=False, size=3.5),
                *points(whole, name=arm, shape=look.shape),
                *points([chosen[arm]] if arm in chosen else [], shape="star", size=10),
            ]

        charts += split_charts(
            comparison,
            [arm for arm, own in trials.items() if any(setting in t.params for t in own)],
            draw,
            alt=f"{metric} against {setting} of",
            y_title=metric,
            y_range=y_range,
            **axis,
        )
    return charts


def _importance(
    storage: HardenedStorage, comparison: Comparison, stages: Mapping[str, Sequence[Progress]]
) -> list[Block]:
    """Say what mattered in each arm's exploring, where enough trials tell."""
    shares = {
        arm: importances(open_study(storage, progress.study_name), progress.trials)
        for arm, own in stages.items()
        for progress in own
        if progress.study_name == explore_name(comparison.name, arm)
    }
    names = [*dict.fromkeys(name for own in shares.values() for name in own)]
    if not names:
        return []
    rows = [
        [arm, *(f"{own[name]:.0%}" if name in own else "-" for name in names)]
        for arm, own in shares.items()
        if own
    ]
    caption = "How much each setting told the best tenth of an arm's exploring from the rest"
    return [
        Table(["arm", *names], rows, len(names), caption),
        "By PED-ANOVA (Watanabe et al. 2023), of few trials: a hint.",
    ]
