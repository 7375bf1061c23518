"""What the report of a study says."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState
from pydantic import ValidationError

from storage import CONFIGURATION, REASON, HardenedStorage
from sweeps.errors import SweepsError
from sweeps.reporting.events import params_of
from sweeps.reporting.findings import (
    latest_baselines,
    state_words,
    value_words,
    verdict_words,
)
from sweeps.reporting.report.again import run_again
from sweeps.reporting.report.answer import (
    answer,
    caveats,
    complete_baselines,
    key_figures,
    named,
)
from sweeps.reporting.report.chart import Chart
from sweeps.reporting.report.document import Charts, Report, Section, Table, Warning
from sweeps.reporting.report.glossary import LAYER, METRICS, SETTINGS
from sweeps.reporting.report.setting_charts import (
    FEWEST_FOR_IMPORTANCE,
    edge_warning,
    importance_chart,
    isolation_chart,
)
from sweeps.reporting.report.study_charts import (
    best_searched,
    brief,
    course_chart,
    curves_chart,
    expected_best_chart,
    front_chart,
    searched,
    time_chart,
)
from sweeps.spec.config import RunConfig
from sweeps.spec.layer import LayerConfig
from sweeps.spec.search import Parameter, setting_of
from sweeps.spec.spec import Spec
from sweeps.study import attributes
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
    sections = [
        _question(study, progress, spec),
        _best(progress, [] if spec is None else [*map(setting_of, spec.search)]),
        _search(study, progress),
        _parameters(progress),
        _kernels(progress, weights),
        _ends(progress),
        run_again(study, progress, spec),
    ]
    return Report(
        kind="study",
        title=study.study_name,
        description="" if spec is None else spec.description,
        answer=answer(progress),
        caveats=caveats(progress),
        figures=key_figures(progress),
        sections=[section for section in sections if section.blocks],
        made=f"Made by sweeps report {version('interpodil')} on "
        f"{datetime.now().astimezone():%Y-%m-%d at %H:%M %Z}.",
    )


def _question(study: optuna.Study, progress: Progress, spec: Spec | None) -> Section:
    section = Section("What was asked")
    goals = " and ".join(
        f"{name} ({'higher' if direction == 'maximize' else 'lower'} is better)"
        for name, direction in zip(progress.metrics, progress.directions, strict=True)
    )
    section.blocks.append(f"Which settings give the best {goals}? {_setting(study, spec)}".strip())
    meanings = [f"{name}: {METRICS[name]}." for name in progress.metrics if name in METRICS]
    section.blocks += meanings
    if spec is None:
        return section
    if spec.objective is None:
        section.blocks.append(LAYER)
    rows = [
        [name, _values(parameter), SETTINGS.get(setting_of(name), "")]
        for name, parameter in spec.search.items()
    ]
    rows = rows if any(row[2] for row in rows) else [row[:2] for row in rows]
    header = ["setting", "searched", "what it is"][: len(rows[0])]
    section.blocks.append(Table(header, rows, caption="What was searched"))
    return section


def _setting(study: optuna.Study, spec: Spec | None) -> str:
    """Say what was trained on what."""
    if spec is None:
        return ""
    if spec.objective:
        trained = f"Each trial ran the training loop {spec.objective}"
    else:
        trained = f"Each trial trained the network {spec.model.title}"
    trained += f" for up to {spec.training.epochs} epochs"
    known = study.user_attrs
    images = attributes.image_count(known, attributes.TRAIN_IMAGES)
    if not images:
        return f"{trained}."
    validation = attributes.image_count(known, attributes.VALIDATION_IMAGES)
    size, classes = known.get(attributes.DATA_SIZE), known.get(attributes.CLASSES)
    return (
        f"{trained} on {images:,} images of {spec.data.title} ({size}x{size} pixels, {classes} "
        f"classes) and was measured on {validation:,} others, which it never trained on."
    )


def _values(parameter: Parameter) -> str:
    conditions = " and ".join(f"{name} is {value}" for name, value in parameter.when.items())
    return f"{parameter}, where {conditions}" if conditions else str(parameter)


def _best(progress: Progress, order: list[str]) -> Section:
    section = Section("The best configurations")
    several = len(progress.metrics) > 1
    if several:
        trials = pareto_front(progress.trials, progress.directions)
        caption = f"The Pareto front: {len(trials)} trials that no other beats in everything"
    else:
        trials = best_first(searched(progress), progress.directions)
        caption = f"The search's {len(trials)} complete trials, best first"
        if len(trials) > _MOST_ROWS:
            caption = f"The best {_MOST_ROWS} of the search's {len(trials)} complete trials"
    if trials:
        section.blocks.append(_configurations(progress, trials[:_MOST_ROWS], order, caption))
    baselines = latest_baselines(progress)
    best = best_searched(progress)
    if baselines:
        section.blocks.append(_baselines(progress, baselines, None if several else best))
        if progress.metric == "val_accuracy" and progress.val_images:
            section.blocks.append(
                f"± is one standard error of an accuracy on {progress.val_images:,} images. A "
                "difference below two standard errors of the difference is called within the noise."
            )
    return section


def _configurations(
    progress: Progress, trials: list[FrozenTrial], order: list[str], caption: str
) -> Table:
    used = dict.fromkeys(name for trial in trials for name in params_of(trial))
    names = [*(name for name in order if name in used), *(n for n in used if n not in order)]
    rows = []
    for trial in trials:
        values = [value_words(progress, trial), *map(brief, trial.values[1:])]
        params = params_of(trial)
        rows.append([str(trial.number), *values, *(brief(params.get(name, "")) for name in names)])
    return Table(
        ["trial", *progress.metrics, *names],
        rows,
        numeric=len(names) + len(progress.metrics),
        caption=caption,
    )


def _baselines(
    progress: Progress, baselines: Iterable[FrozenTrial], best: FrozenTrial | None
) -> Table:
    rows = []
    for trial in baselines:
        value, verdict = state_words(progress, trial), ""
        if trial.state is TrialState.COMPLETE:
            value = value_words(progress, trial)
            if best is not None:
                verdict = verdict_words(progress, best.values[0], trial.values[0])
        row = [trial.user_attrs[CONFIGURATION], str(trial.number), value]
        rows.append([*row, verdict] if best is not None else row)
    header = ["baseline", "trial", progress.metric, "the search's best is"]
    return Table(
        header[: len(rows[0])], rows, numeric=2 if best is None else 3, caption="Baselines"
    )


def _search(study: optuna.Study, progress: Progress) -> Section:
    section = Section("The search")
    if progress.best is None:
        return section
    charts: list[Chart | None]
    if len(progress.metrics) > 1:
        charts = [front_chart(progress)]
    else:
        charts = [
            course_chart(progress),
            curves_chart(progress),
            expected_best_chart(progress),
            time_chart(progress),
            importance_chart(study, progress),
        ]
    section.blocks.append(Charts([chart for chart in charts if chart is not None]))
    if len(progress.metrics) == 1 and charts[-1] is None:
        section.blocks.append(
            f"What mattered is estimated from {FEWEST_FOR_IMPORTANCE} complete trials of the "
            "search on; there are fewer."
        )
    return section


def _parameters(progress: Progress) -> Section:
    section = Section("Each setting alone")
    names = [*dict.fromkeys(name for t in searched(progress) for name in t.distributions)]
    best = best_searched(progress)
    if best is None or not names:
        return section
    section.blocks.append(
        f"Every point is a trial: its {progress.metric} against one of its settings, whatever the "
        "others were. The star is the best; hollow gray triangles ended early, with the last value "
        "they had; hollow diamonds are baselines. The worst quarter lies at the edge of each chart."
    )
    warnings = (edge_warning(best, name) for name in best.distributions)
    section.blocks += [Warning(text) for text in warnings if text]
    shown = names[:_MOST_SETTINGS]
    if len(shown) < len(names):
        section.blocks.append(f"The first {len(shown)} of {len(names)} settings:")
    section.blocks.append(Charts([isolation_chart(progress, name) for name in shown]))
    return section


def _kernels(progress: Progress, weights: Path | None) -> Section:
    section = Section("The effective kernels")
    layers: dict[str, LayerConfig] = {}
    ranked = best_first(searched(progress), progress.directions)
    baselines = complete_baselines(progress)[:1]
    for trial in [*ranked, *baselines]:
        is_baseline = CONFIGURATION in trial.user_attrs
        if attributes.CONFIG not in trial.user_attrs or (
            not is_baseline and len(layers) == _MOST_KERNELS
        ):
            continue
        try:
            config = RunConfig.model_validate(trial.user_attrs[attributes.CONFIG])
        except ValidationError:
            continue
        if config.objective is None and config.layer not in layers.values():
            layers[named(trial)] = config.layer
    if not layers and weights is None:
        return section
    # torch takes seconds to import.
    from sweeps.reporting.report.kernels import kernel_blocks

    section.blocks += kernel_blocks(layers, weights, {progress.study_name})
    return section


def _ends(progress: Progress) -> Section:
    section = Section("How the trials ended")
    rows = [
        [outcome.replace("_", " "), str(count), _OUTCOMES.get(outcome, "")]
        for outcome, count in progress.outcomes.most_common()
    ]
    for words, count in (("running", progress.running), ("waiting", _waiting(progress))):
        if count:
            rows.append([words, str(count), ""])
    if rows:
        section.blocks.append(Table(["outcome", "trials", "meaning"], rows))
    reasons = Counter(
        str(trial.user_attrs[REASON])
        for trial in progress.trials
        if trial.state is TrialState.FAIL and REASON in trial.user_attrs
    )
    if reasons:
        rows = [[reason, str(count)] for reason, count in reasons.most_common(5)]
        section.blocks.append(
            Table(["reason", "trials"], rows, 1, "Why trials ended without result")
        )
    return section


def _waiting(progress: Progress) -> int:
    return sum(trial.state is TrialState.WAITING for trial in progress.trials)
