"""The sections of a comparison's arms: what was asked of them, what they cost, and every run."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import optuna

from sweeps.reporting.formatting import brief, with_direction
from sweeps.reporting.report.chart import Chart, Line, Points
from sweeps.reporting.report.comparison.looks import arm_looks
from sweeps.reporting.report.document import Block, Table, side_by_side, text_columns
from sweeps.reporting.report.glossary import LAYER, meanings
from sweeps.reporting.report.spec import search_table, training_words
from sweeps.reporting.verdicts import arm_rows
from sweeps.study.comparison import ArmResult, Comparison
from sweeps.study.progress import Progress

# As many columns as fit on paper.
_MOST_COLUMNS = 7
_BUDGET_OUTCOMES = ("completed", "pruned", "diverged", "failed")


def asked(comparison: Comparison, home: optuna.Study) -> list[Block]:
    """Write the section of what was asked."""
    spec, measured = comparison.spec, comparison.spec.measured
    against = f"than {spec.reference}" if spec.reference else "than each other"
    goal = with_direction(measured.name, measured.direction)
    trained = training_words(
        spec,
        home,
        "Each run",
        f"{spec.training.epochs} epochs",
        ". {:,} other images decided what tuning chose; the verdicts are about the test images, "
        "which nothing else has seen.",
    )
    rows = []
    for name, arm in comparison.arms.items():
        sets = ", ".join(f"{setting} {brief(value)}" for setting, value in arm.settings.items())
        own = ", ".join(setting for setting in arm.tuned if setting not in spec.search)
        rows.append([name, sets or "nothing", own])
    tuned = {**spec.search, **{n: p for arm in spec.arms.values() for n, p in arm.search.items()}}
    return [
        f"Which arms are better {against} in {goal}, if all are tuned alike? A difference of "
        f"{spec.margin:g} or more would matter. {trained}",
        *meanings([measured.name, *spec.metrics]),
        *([] if spec.objective else [LAYER]),
        text_columns(["arm", "sets", "tunes beside"], rows, "The arms"),
        search_table(tuned, "tuned"),
    ]


def cost(comparison: Comparison) -> list[Block]:
    """Write the section of what each arm reached and what it costs."""
    if not comparison.runs:
        return []
    rows = arm_rows(comparison)
    cells = [[*row.values()] for row in rows]
    step = _cost_chart(
        comparison,
        lambda arm: arm.step_ms,
        key="step-time",
        title="Quality against time",
        x_title="milliseconds of a training step",
        caption="Medians over the confirming runs, which the arms took in turns on the same "
        "machine.",
    )
    arithmetic = _cost_chart(
        comparison,
        lambda arm: arm.multiply_adds / 1e6 if arm.multiply_adds else None,
        key="multiply-adds",
        title="Quality against arithmetic",
        x_title="million multiply-adds of a forward pass",
        caption="Of one image, through the whole network.",
    )
    return [
        Table([*rows[0]], cells, numeric=8, caption="Each arm alone: mean [interval], and cost"),
        "An arm's own interval says less than the paired one above: what a seed does to all arms "
        "alike is still in it. Multiply-adds are those of a forward pass for one image; step and "
        "memory are medians over the confirming runs; epochs are those of all stages.",
        *side_by_side([step, arithmetic]),
    ]


def _cost_chart(
    comparison: Comparison,
    place: Callable[[ArmResult], float | None],
    *,
    key: str,
    title: str,
    x_title: str,
    caption: str,
) -> Chart | None:
    """Draw what each arm reaches against what it costs, where that is known of several."""
    arms = [arm for arm in comparison.arms.values() if arm.runs]
    placed = {arm.name: x for arm in arms if (x := place(arm)) is not None}
    if len(placed) < 2:
        return None
    marks: list[Line | Points] = []
    for name, x in placed.items():
        arm, look = comparison.arms[name], arm_looks(comparison)[name]
        low, high = arm.interval(comparison.spec.error)
        if math.isfinite(low):
            marks.append(Line([x, x], [low, high], color=look.color, width=1.6))
        point = Points([x], [arm.mean], name, look.color, look.shape, size=6, labels=[name])
        marks.append(point)
    return Chart(
        key=key,
        title=title,
        alt="; ".join(f"{n}: {comparison.arms[n].mean:.4f} at {x:.3g}" for n, x in placed.items()),
        marks=marks,
        x_title=x_title,
        y_title=comparison.spec.measured.name,
        x_range=(0, 1.1 * max(placed.values())),
        caption=f"{caption} Bars are the intervals of the means.",
    )


def ends(comparison: Comparison, stages: Mapping[str, Sequence[Progress]]) -> list[Block]:
    """Write the section of how trials and runs ended."""
    rows = []
    for name, arm in comparison.arms.items():
        ended = sum((progress.outcomes for progress in stages[name]), Counter[str]())
        counts = [ended.pop(word, 0) for word in _BUDGET_OUTCOMES]
        rows.append([name, *map(str, (*counts, ended.total(), len(arm.runs), arm.deaths))])
    header = ["arm", *_BUDGET_OUTCOMES, "retried", "confirming runs", "of which died"]
    caption = "Trials of exploring and tuning, and confirming runs"
    blocks: list[Block] = [Table(header, rows, numeric=7, caption=caption)]
    deaths = Counter(
        (name, run.death) for name, arm in comparison.arms.items() for run in arm.runs if run.death
    )
    if deaths:
        rows = [[name, death, str(count)] for (name, death), count in deaths.items()]
        blocks.append(Table(["arm", "reason", "runs"], rows, 1, "How runs died"))
    return blocks


def every_run(comparison: Comparison) -> list[Block]:
    """Write the section of each confirming run's value, by seed and arm."""
    seeds = sorted({run.seed for arm in comparison.arms.values() for run in arm.runs})
    values = {
        arm.name: {run.seed: "died" if run.death else f"{run.value:.4f}" for run in arm.runs}
        for arm in comparison.arms.values()
    }
    blocks: list[Block] = []
    for start in range(0, len(values) if seeds else 0, _MOST_COLUMNS):
        arms = [*values][start : start + _MOST_COLUMNS]
        rows = [[str(seed), *(values[arm].get(seed, "") for arm in arms)] for seed in seeds]
        caption = f"{comparison.spec.measured.name} by seed"
        blocks.append(Table(["seed", *arms], rows, len(arms), caption))
    return blocks
