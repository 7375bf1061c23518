"""The report of a study."""

import shlex
from collections import Counter
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState
from pydantic import ValidationError

from storage import REASON, HardenedStorage
from sweeps.errors import SweepsError
from sweeps.reporting import findings
from sweeps.reporting.events import params_of
from sweeps.reporting.formatting import brief, with_direction
from sweeps.reporting.report.document import (
    Block,
    Charts,
    Report,
    Table,
    Warning,
    side_by_side,
)
from sweeps.reporting.report.glossary import LAYER, meanings
from sweeps.reporting.report.settings import FEWEST_FOR_IMPORTANCE, edge_warnings
from sweeps.reporting.report.spec import run_again, search_table, training_words
from sweeps.reporting.report.study import charts
from sweeps.spec.config import RunConfig
from sweeps.spec.layer import LayerConfig
from sweeps.spec.search import setting_of
from sweeps.spec.spec import Spec
from sweeps.study.attributes import CONFIG
from sweeps.study.progress import Progress, best_first, pareto_front, read_progress
from sweeps.study.study import read_spec

_MOST_ROWS = 10
_MOST_KERNELS = 3
_MOST_SETTINGS = 30

#: What each outcome means; the words of `storage.Outcome`.
_OUTCOMES = {
    "completed": "trained to the end",
    "pruned": "stopped early: others were better at the same epoch",
    "diverged": "stopped: a loss was no longer a finite number",
    "failed": "ended by an error",
    "interrupted": "stopped by a person or the system; a retry replaced it",
    "lost": "its worker died; a retry replaced it",
    "out_of_memory": "did not fit into memory; a retry with less replaced it",
}


def study_report(
    storage: HardenedStorage, study: optuna.Study, weights: Path | None = None
) -> Report:
    """Work out what a report says of a study, as it is in its storage now.

    Args:
        storage: where the study is.
        study: the study.
        weights: a file of ``sweeps train --save``, whose trained kernels are shown too.

    Raises:
        SweepsError: the weights are none, or of another study.
    """
    progress = read_progress(storage, study)
    try:
        spec = read_spec(study)
    except SweepsError:
        # Made by another program that uses Optuna, or by a later release.
        spec = None
    state = []
    if not progress.is_done and progress.target is not None:
        state.append(
            f"The study is not finished: {progress.finished} of {progress.target} trials have "
            f"ended, {progress.running} run."
        )
    return Report(
        kind="study",
        title=study.study_name,
        description="" if spec is None else spec.description,
        answer=findings.answer(progress),
        caveats=[*state, *findings.caveats(progress)],
        figures=_figures(progress),
        contents={
            "What was asked": _asked(study, progress, spec),
            "The best configurations": _best(progress, spec),
            "The search": _search(study, progress),
            "Each setting alone": _each_setting(progress),
            "The effective kernels": _kernels(progress, weights),
            "How the trials ended": _ends(progress),
            "Run it again": [] if spec is None else _again(study, progress, spec),
        },
    )


def _figures(progress: Progress) -> dict[str, str]:
    figures = {}
    if progress.best is not None:
        figures[f"best {progress.metric}"] = findings.value_words(progress, progress.best)
    total = "" if progress.target is None else f" of {progress.target}"
    figures["trials"] = f"{progress.finished}{total}"
    figures["trained to the end"] = str(progress.outcomes["completed"])
    for outcome in ("pruned", "diverged", "failed"):
        if progress.outcomes[outcome]:
            figures[outcome] = str(progress.outcomes[outcome])
    if any(trial.duration for trial in progress.trials):
        figures["time of all trials"] = findings.time_words(progress.trials)
    return figures


def _asked(study: optuna.Study, progress: Progress, spec: Spec | None) -> list[Block]:
    goals = " and ".join(map(with_direction, progress.metrics, progress.directions))
    question = f"Which settings give the best {goals}?"
    if spec is None:
        return [question, *meanings(progress.metrics)]
    epochs = f"up to {spec.training.epochs} epochs"
    others = " and was measured on {:,} others, which it never trained on."
    return [
        f"{question} {training_words(spec, study, 'Each trial', epochs, others)}",
        *meanings(progress.metrics),
        *([] if spec.objective else [LAYER]),
        search_table(spec.search, "searched"),
    ]


def _best(progress: Progress, spec: Spec | None) -> list[Block]:
    several = len(progress.metrics) > 1
    if several:
        trials = pareto_front(progress.trials, progress.directions)
        caption = f"The Pareto front: {len(trials)} trials that no other beats in everything"
    else:
        trials = best_first(findings.searched(progress), progress.directions)
        caption = f"The search's {len(trials)} complete trials, best first"
        if len(trials) > _MOST_ROWS:
            caption = f"The best {_MOST_ROWS} of the search's {len(trials)} complete trials"
    blocks: list[Block] = []
    if trials:
        names = [] if spec is None else [*map(setting_of, spec.search)]
        blocks.append(_configurations(progress, trials[:_MOST_ROWS], names, caption))
    best = None if several else findings.best_searched(progress)
    if rows := findings.baseline_rows(progress, best):
        header = ["baseline", "trial", progress.metric, "the search's best is"]
        width = 3 if best is None else 4
        rows = [row[:width] for row in rows]
        blocks += [
            Table(header[:width], rows, width - 1, "Baselines"),
            *findings.noise_words(progress),
        ]
    return blocks


def _configurations(
    progress: Progress, trials: list[FrozenTrial], settings: list[str], caption: str
) -> Table:
    used = dict.fromkeys(name for trial in trials for name in params_of(trial))
    # In the order of the spec; what it does not search comes last.
    places = {setting: place for place, setting in enumerate(settings)}
    names = sorted(used, key=lambda name: places.get(setting_of(name), len(settings)))
    rows = []
    for trial in trials:
        values = [findings.value_words(progress, trial), *map(brief, trial.values[1:])]
        params = params_of(trial)
        rows.append([str(trial.number), *values, *(brief(params.get(name, "")) for name in names)])
    header = ["trial", *progress.metrics, *names]
    return Table(header, rows, numeric=len(header) - 1, caption=caption)


def _search(study: optuna.Study, progress: Progress) -> list[Block]:
    if progress.best is None:
        return []
    if len(progress.metrics) > 1:
        return [Charts([charts.front(progress)])]
    importance = charts.importance(study, progress)
    drawn = [
        charts.course(progress),
        charts.curves(progress),
        charts.expected_best(progress),
        charts.time(progress),
        importance,
    ]
    blocks = side_by_side(drawn)
    if importance is None:
        blocks.append(
            f"What mattered is estimated from {FEWEST_FOR_IMPORTANCE} complete trials of the "
            "search on; there are fewer."
        )
    return blocks


def _each_setting(progress: Progress) -> list[Block]:
    names = [*dict.fromkeys(name for t in findings.searched(progress) for name in t.distributions)]
    best = findings.best_searched(progress)
    if best is None or not names:
        return []
    shown = names[:_MOST_SETTINGS]
    left_out = len(names) > len(shown)
    return [
        f"Every point is a trial: its {progress.metric} against one of its settings, whatever the "
        "others were. The star is the best; hollow gray triangles ended early, with the last value "
        "they had; hollow diamonds are baselines. The worst quarter lies at the edge of each "
        "chart.",
        *map(Warning, edge_warnings(best)),
        *([f"The first {len(shown)} of {len(names)} settings:"] if left_out else []),
        Charts([charts.setting(progress, name) for name in shown]),
    ]


def _kernels(progress: Progress, weights: Path | None) -> list[Block]:
    layers: dict[str, LayerConfig] = {}
    ranked = best_first(findings.searched(progress), progress.directions)
    for trial in [*ranked, *findings.complete_baselines(progress)[:1]]:
        is_full = len(layers) == _MOST_KERNELS and not findings.is_baseline(trial)
        if CONFIG not in trial.user_attrs or is_full:
            continue
        try:
            config = RunConfig.model_validate(trial.user_attrs[CONFIG])
        except ValidationError:
            continue
        if config.objective is None and config.layer not in layers.values():
            layers[findings.named(trial)] = config.layer
    if not layers and weights is None:
        return []
    # torch takes seconds to import.
    from sweeps.reporting.report.kernels import kernel_blocks

    return kernel_blocks(layers, weights, {progress.study_name})


def _ends(progress: Progress) -> list[Block]:
    counts = dict(progress.outcomes.most_common()) | {
        "running": progress.running,
        "waiting": sum(trial.state is TrialState.WAITING for trial in progress.trials),
    }
    rows = [
        [outcome.replace("_", " "), str(count), _OUTCOMES.get(outcome, "")]
        for outcome, count in counts.items()
        if count
    ]
    blocks: list[Block] = [Table(["outcome", "trials", "meaning"], rows)] if rows else []
    reasons = Counter(
        str(trial.user_attrs[REASON])
        for trial in progress.trials
        if trial.state is TrialState.FAIL and REASON in trial.user_attrs
    )
    if reasons:
        rows = [[reason, str(count)] for reason, count in reasons.most_common(5)]
        caption = "Why trials ended without result"
        blocks.append(Table(["reason", "trials"], rows, 1, caption))
    return blocks


def _again(study: optuna.Study, progress: Progress, spec: Spec) -> list[Block]:
    name = shlex.quote(study.study_name)
    commands = [
        f"sweeps run spec.yaml --study {name}-again",
        f"sweeps export {name} -o best.yaml",
        "sweeps train best.yaml --seed 1",
    ]
    return run_again(spec, study, progress.trials, commands, {"seed": str(spec.seed)})
