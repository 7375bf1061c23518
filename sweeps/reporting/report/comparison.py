"""What the report of a comparison says."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial

from storage import HardenedStorage, open_study, read_epochs, study_names
from sweeps.reporting.report.again import run_comparison_again
from sweeps.reporting.report.answer import duration_words
from sweeps.reporting.report.chart import Chart
from sweeps.reporting.report.comparison_charts import (
    cost_charts,
    course_charts,
    curve_charts,
    expected_best_charts,
    lead_charts,
    leads,
    looks,
    pair_name,
    setting_charts,
    signed,
    tuned_metric,
    verdicts_chart,
)
from sweeps.reporting.report.document import Charts, Report, Section, Table, Warning
from sweeps.reporting.report.glossary import LAYER, SETTINGS, metric_words
from sweeps.reporting.report.setting_charts import edge_warning, importances
from sweeps.reporting.report.study_charts import brief, last_value
from sweeps.reporting.verdicts import answer, arm_rows, equal_time_words, notes, state_words
from sweeps.spec.config import RunConfig
from sweeps.spec.search import setting_of
from sweeps.study import attributes
from sweeps.study.comparison import Comparison, Pair
from sweeps.study.comparison_reading import read_comparison
from sweeps.study.progress import Progress, read_progress
from sweeps.study.stages import confirm_name, equal_time_name, explore_name, tune_name

_DECLARED = {"equal": "equal within the margin"}
_MOST_COLUMNS = 7
_BUDGET_OUTCOMES = ("completed", "pruned", "diverged", "failed")


@dataclass(frozen=True)
class _Stages:
    """The studies of a comparison.

    Attributes:
        home: the study that confirms.
        tuning: of each arm, its studies of exploring and tuning that there are.
        others: those that confirm.
    """

    home: optuna.Study
    tuning: dict[str, list[Progress]]
    others: list[Progress]

    def trials(self) -> list[FrozenTrial]:
        """Return the trials of all studies."""
        every = [*(each for own in self.tuning.values() for each in own), *self.others]
        return [trial for progress in every for trial in progress.trials]

    def valued(self, arm: str) -> list[FrozenTrial]:
        """Return an arm's trials of exploring and tuning that ended with a value."""
        return [
            trial
            for progress in self.tuning[arm]
            for trial in progress.trials
            if trial.state.is_finished() and last_value(trial) is not None
        ]


def comparison_report(storage: HardenedStorage, name: str, weights: Path | None = None) -> Report:
    """Work out what a report says of a comparison, as it is in its storage now.

    Args:
        storage: where the comparison is.
        name: its name.
        weights: a file of ``sweeps train --save``, whose trained kernels are shown too.

    Raises:
        SweepsError: the weights are none, or of another study.
    """
    comparison = read_comparison(storage, name)
    stages = _read_stages(storage, comparison)
    chosen = {
        arm: next(
            trial
            for progress in stages.tuning[arm]
            if progress.study_name == result.choice.study
            for trial in progress.trials
            if trial.number == result.choice.trial
        )
        for arm, result in comparison.arms.items()
        if result.choice is not None
    }
    sections = [
        _question(comparison, stages),
        _verdicts(comparison),
        _arms(comparison),
        _equal_time(comparison),
        _curves(comparison, _losses(storage, comparison, stages.home)),
        _tuning(comparison, chosen),
        _settings(comparison, stages, chosen, _importances(storage, comparison, stages)),
        _kernels(comparison, chosen, weights),
        _ends(comparison, stages),
        _runs(comparison),
        run_comparison_again(comparison, stages.home, stages.trials()),
    ]
    return Report(
        kind="comparison",
        title=name,
        description=comparison.spec.description,
        answer=answer(comparison),
        caveats=[*state_words(comparison), *notes(comparison)],
        figures=_figures(comparison, stages),
        sections=[section for section in sections if section.blocks],
        made=f"Made by sweeps report {version('interpodil')} on "
        f"{datetime.now().astimezone():%Y-%m-%d at %H:%M %Z}.",
    )


def _read_stages(storage: HardenedStorage, comparison: Comparison) -> _Stages:
    known, name = study_names(storage), comparison.name

    def read(*names: str) -> list[Progress]:
        return [read_progress(storage, open_study(storage, n)) for n in names if n in known]

    return _Stages(
        home=open_study(storage, confirm_name(name)),
        tuning={
            arm: read(explore_name(name, arm), tune_name(name, arm)) for arm in comparison.arms
        },
        others=read(confirm_name(name), equal_time_name(name)),
    )


def _figures(comparison: Comparison, stages: _Stages) -> dict[str, str]:
    settled = sum(pair.verdict.is_settled for pair in comparison.pairs)
    seeds = [len(arm.runs) for arm in comparison.arms.values()]
    spent = [t.duration.total_seconds() for t in stages.trials() if t.duration is not None]
    counts = f"{min(seeds)}" if min(seeds) == max(seeds) else f"{min(seeds)} to {max(seeds)}"
    return {
        "arms": str(len(comparison.arms)),
        "verdicts settled": f"{settled} of {len(comparison.pairs)}",
        "seeds of an arm": counts,
        "confirming runs": str(comparison.runs),
        "epochs trained": f"{sum(arm.epochs for arm in comparison.arms.values()):,}",
        "time of all trials": duration_words(sum(spent)),
    }


def _question(comparison: Comparison, stages: _Stages) -> Section:
    section, spec = Section("What was asked"), comparison.spec
    assert spec.metric is not None
    measured = spec.measured
    better = "higher" if measured.direction == "maximize" else "lower"
    against = f"than {spec.reference}" if spec.reference else "than each other"
    section.blocks.append(
        f"Which arms are better {against} in {measured.name} ({better} is better), if all are "
        f"tuned alike? A difference of {spec.margin:g} or more would matter. "
        f"{_setting(comparison, stages)}"
    )
    meanings = {name: metric_words(name) for name in (measured.name, spec.metric.name)}
    section.blocks += [f"{name}: {words}." for name, words in meanings.items() if words]
    if spec.objective is None:
        section.blocks.append(LAYER)
    rows = []
    for name, arm in comparison.arms.items():
        own = [setting for setting in arm.tuned if setting not in spec.search]
        sets = ", ".join(f"{setting} {brief(value)}" for setting, value in arm.settings.items())
        rows.append([name, sets or "nothing", ", ".join(own)])
    header = ["arm", "sets", "tunes beside"]
    if not any(row[2] for row in rows):
        header, rows = header[:2], [row[:2] for row in rows]
    section.blocks.append(Table(header, rows, caption="The arms"))
    tuned = {**spec.search, **{n: p for arm in spec.arms.values() for n, p in arm.search.items()}}
    rows = [
        [name, str(parameter), SETTINGS.get(setting_of(name), "")]
        for name, parameter in tuned.items()
    ]
    header = ["setting", "values", "what it is"]
    if not any(row[2] for row in rows):
        header, rows = header[:2], [row[:2] for row in rows]
    section.blocks.append(Table(header, rows, caption="What was tuned"))
    return section


def _setting(comparison: Comparison, stages: _Stages) -> str:
    """Say what was trained on what."""
    spec, known = comparison.spec, stages.home.user_attrs
    if spec.objective:
        trained = f"Each run ran the training loop {spec.objective}"
    else:
        trained = f"Each run trained the network {spec.model.title}"
    trained += f" for {spec.training.epochs} epochs"
    images = attributes.image_count(known, attributes.TRAIN_IMAGES)
    if not images:
        return f"{trained}."
    size, classes = known.get(attributes.DATA_SIZE), known.get(attributes.CLASSES)
    validation = attributes.image_count(known, attributes.VALIDATION_IMAGES)
    return (
        f"{trained} on {images:,} images of {spec.data.title} ({size}x{size} pixels, {classes} "
        f"classes). {validation:,} other images decided what tuning chose; the verdicts are about "
        "the test images, which nothing else has seen."
    )


def _verdicts(comparison: Comparison) -> Section:
    section = Section("The verdicts")
    if not comparison.runs:
        return section
    section.blocks.append(
        "Both arms of a pair were trained from the same seeds, and a verdict is about the "
        "differences, one for each seed. The interval [low, high] holds after every seed, however "
        "often one looks. P is the share of the seeds on which the arm beat the other, an estimate "
        "of the probability that a run of the one beats a run of the other."
    )
    section.blocks.append(_verdict_table(comparison, comparison.pairs, "Declared"))
    overview = verdicts_chart(comparison, comparison.pairs, "verdicts")
    section.blocks.append(
        Charts([*([] if overview is None else [overview]), *course_charts(comparison)])
    )
    return section


def _verdict_table(comparison: Comparison, pairs: Sequence[Pair], caption: str) -> Table:
    against = comparison.spec.reference
    header = ["arm", "is", "difference", "interval", "P", "seeds", "would need"]
    if not against:
        header.insert(1, "against")
    rows = []
    for pair in pairs:
        verdict = pair.verdict
        if not verdict.seeds:
            cells = ["not known yet", "-", "-", "-", "0", "-"]
        else:
            need = "-" if verdict.is_settled else "not in reach"
            if not verdict.is_settled and verdict.seeds_needed is not None:
                need = f"{verdict.seeds_needed:,}"
            declared = _DECLARED.get(verdict.declaration, verdict.declaration)
            interval = "none yet"
            if abs(verdict.low) != float("inf"):
                interval = f"[{signed(verdict.low)}, {signed(verdict.high)}]"
            chance = f"{pair.probability:.2f}"
            cells = [declared, signed(verdict.mean), interval, chance, str(verdict.seeds), need]
        rows.append([pair.arm, *([] if against else [pair.other]), *cells])
    caption += f" against {against}" if against else ""
    return Table(header, rows, numeric=5, caption=f"{caption}, in {comparison.spec.measured.name}")


def _arms(comparison: Comparison) -> Section:
    section = Section("The arms and their cost")
    if not comparison.runs:
        return section
    rows = arm_rows(comparison)
    cells = [[*row.values()] for row in rows]
    section.blocks += [
        Table([*rows[0]], cells, numeric=8, caption="Each arm alone: mean [interval], and cost"),
        "An arm's own interval says less than the paired one above: what a seed does to all arms "
        "alike is still in it. Multiply-adds are those of a forward pass for one image; step and "
        "memory are medians over the confirming runs; epochs are those of all stages.",
    ]
    section.blocks.append(Charts(cost_charts(comparison)))
    return section


def _equal_time(comparison: Comparison) -> Section:
    section = Section("At equal time")
    if not comparison.equal_time:
        return section
    section.blocks.append(
        "The same comparison once more, each arm with as many epochs as fit into the same seconds: "
        f"{equal_time_words(comparison)}. These verdicts have an error of their own."
    )
    section.blocks.append(
        _verdict_table(comparison, comparison.equal_time, "Declared at equal time")
    )
    chart = verdicts_chart(comparison, comparison.equal_time, "equal-time")
    section.blocks.append(Charts([] if chart is None else [chart]))
    return section


def _losses(
    storage: HardenedStorage, comparison: Comparison, home: optuna.Study
) -> dict[str, list[dict[int, float]]]:
    """Return the training loss of each arm's runs by epoch; none where a loop reports none."""
    ids = {trial.number: trial._trial_id for trial in home.get_trials(deepcopy=False)}
    return {
        name: [
            {
                record.epoch: loss
                for record in read_epochs(storage, ids[run.trial])
                if (loss := record.metrics.get("train_loss")) is not None
            }
            for run in arm.runs
        ]
        for name, arm in comparison.arms.items()
    }


def _curves(comparison: Comparison, losses: Mapping[str, Sequence[Mapping[int, float]]]) -> Section:
    section = Section("The course of training")
    curves = {name: [run.curve for run in arm.runs] for name, arm in comparison.arms.items()}
    charts = [
        *curve_charts(comparison, tuned_metric(comparison), curves),
        *lead_charts(comparison),
        *curve_charts(comparison, "train_loss", losses),
    ]
    if not charts:
        return section
    found = {pair_name(comparison, pair): leads(comparison, pair) for pair in comparison.pairs}
    found = {name: lead for name, lead in found.items() if len(lead) > 1}
    section.blocks += [
        "Is there a quick start that is paid for with a worse plateau? Then an arm is ahead at "
        "first and behind at the end. Intervals here are for one epoch looked at once, on the "
        "validation images; they tell where to look, and declare nothing.",
        Charts(charts),
    ]
    if found:
        epochs = max((lead.epochs for lead in found.values()), key=len)
        shown = sorted({epochs[0], epochs[len(epochs) // 2], epochs[-1]})
        rows = [
            [name, f"{lead.side(0)}, then {lead.side(-1)}", *map(lead.at_epoch, shown)]
            for name, lead in found.items()
        ]
        heads = [f"after epoch {epoch}" for epoch in shown]
        caption = "Ahead, by epoch, with pointwise 95% intervals"
        section.blocks.append(Table(["arm", "start and end", *heads], rows, len(shown), caption))
    return section


def _tuning(comparison: Comparison, chosen: Mapping[str, FrozenTrial]) -> Section:
    section = Section("What tuning chose")
    spec = comparison.spec
    assert spec.metric is not None
    names = dict.fromkeys(name for trial in chosen.values() for name in trial.params)
    rows = []
    for arm, trial in chosen.items():
        choice = comparison.arms[arm].choice
        assert choice is not None
        found = [brief(trial.params.get(name, "-")) for name in names]
        stage = "explore" if choice.study == explore_name(comparison.name, arm) else "tune"
        rows.append([arm, f"{stage} {choice.trial}", brief(choice.value), *found])
    if rows:
        caption = "The settings that were confirmed, chosen by the validation images alone"
        header = ["arm", "trial", spec.metric.name, *names]
        section.blocks.append(Table(header, rows, len(header) - 2, caption))
    charts = expected_best_charts(comparison)
    if charts:
        section.blocks.append(Charts(charts))
    return section


def _importances(
    storage: HardenedStorage, comparison: Comparison, stages: _Stages
) -> dict[str, dict[str, float]]:
    """Return what mattered in each arm's exploring, where enough trials tell."""
    found = {
        arm: importances(open_study(storage, progress.study_name), progress)
        for arm, own in stages.tuning.items()
        for progress in own
        if progress.study_name == explore_name(comparison.name, arm)
    }
    return {arm: shares for arm, shares in found.items() if shares}


def _settings(
    comparison: Comparison,
    stages: _Stages,
    chosen: Mapping[str, FrozenTrial],
    shares: Mapping[str, Mapping[str, float]],
) -> Section:
    section = Section("Each setting alone")
    charts: list[Chart] = setting_charts(
        comparison, {arm: stages.valued(arm) for arm in comparison.arms}, chosen
    )
    if not charts:
        return section
    section.blocks.append(
        "Every point is a trial of exploring or tuning: its value against one of its settings, "
        "whatever the others were. Stars are the settings that are confirmed; hollow points ended "
        "early, with the last value they had. The worst quarter lies at the edge of each chart."
    )
    for arm, trial in chosen.items():
        warnings = (edge_warning(trial, name) for name in trial.distributions)
        section.blocks += [Warning(f"{arm}: {text}") for text in warnings if text]
    section.blocks.append(Charts(charts))
    if names := [*dict.fromkeys(name for own in shares.values() for name in own)]:
        rows = [
            [arm, *(f"{own[name]:.0%}" if name in own else "-" for name in names)]
            for arm, own in shares.items()
        ]
        caption = "How much each setting told the best tenth of an arm's exploring from the rest"
        section.blocks += [
            Table(["arm", *names], rows, len(names), caption),
            "By PED-ANOVA (Watanabe et al. 2023), of few trials: a hint.",
        ]
    return section


def _kernels(
    comparison: Comparison, chosen: Mapping[str, FrozenTrial], weights: Path | None
) -> Section:
    section = Section("The effective kernels")
    layers = {
        name: RunConfig.model_validate(trial.user_attrs[attributes.CONFIG]).layer
        for name, trial in chosen.items()
    }
    if comparison.spec.objective is not None or not (layers or weights):
        return section
    # torch takes seconds to import.
    from sweeps.reporting.report.kernels import kernel_blocks

    studies = {arm.choice.study for arm in comparison.arms.values() if arm.choice is not None}
    colors = {name: look.color for name, look in looks(comparison).items()}
    section.blocks += kernel_blocks(layers, weights, studies, colors)
    return section


def _ends(comparison: Comparison, stages: _Stages) -> Section:
    section = Section("How trials and runs ended")
    rows = []
    for name, arm in comparison.arms.items():
        ended = sum((progress.outcomes for progress in stages.tuning[name]), Counter[str]())
        retried = sum(count for word, count in ended.items() if word not in _BUDGET_OUTCOMES)
        counts = [ended[word] for word in _BUDGET_OUTCOMES]
        rows.append([name, *map(str, (*counts, retried, len(arm.runs), arm.deaths))])
    header = ["arm", *_BUDGET_OUTCOMES, "retried", "confirming runs", "of which died"]
    section.blocks.append(
        Table(
            header, rows, numeric=7, caption="Trials of exploring and tuning, and confirming runs"
        )
    )
    deaths = Counter(
        (name, run.death) for name, arm in comparison.arms.items() for run in arm.runs if run.death
    )
    if deaths:
        rows = [[name, death, str(count)] for (name, death), count in deaths.items()]
        section.blocks.append(Table(["arm", "reason", "runs"], rows, 1, "How runs died"))
    return section


def _runs(comparison: Comparison) -> Section:
    section = Section("Every confirming run")
    seeds = sorted({run.seed for arm in comparison.arms.values() for run in arm.runs})
    if not seeds:
        return section
    name = comparison.spec.measured.name
    values = {
        arm.name: {run.seed: "died" if run.death else f"{run.value:.4f}" for run in arm.runs}
        for arm in comparison.arms.values()
    }
    # As many columns as fit on paper.
    for start in range(0, len(values), _MOST_COLUMNS):
        arms = [*values][start : start + _MOST_COLUMNS]
        rows = [[str(seed), *(values[arm].get(seed, "") for arm in arms)] for seed in seeds]
        section.blocks.append(Table(["seed", *arms], rows, len(arms), f"{name} by seed"))
    return section
