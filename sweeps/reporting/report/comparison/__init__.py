"""The report of a comparison."""

import shlex
from pathlib import Path

from storage import HardenedStorage, open_study, study_names
from sweeps.reporting.findings import time_words
from sweeps.reporting.report.comparison.arms import asked, cost, ends, every_run
from sweeps.reporting.report.comparison.looks import arm_looks
from sweeps.reporting.report.comparison.training import training
from sweeps.reporting.report.comparison.tuning import Chosen, each_setting, tuning
from sweeps.reporting.report.comparison.verdicts import equal_time, verdicts
from sweeps.reporting.report.document import Block, Report
from sweeps.reporting.report.spec import run_again
from sweeps.reporting.verdicts import answer, caveats
from sweeps.spec.config import RunConfig
from sweeps.study.attributes import CONFIG
from sweeps.study.comparison import Comparison
from sweeps.study.comparison_reading import read_comparison
from sweeps.study.progress import Progress, read_progress
from sweeps.study.stages import confirm_name, equal_time_name, explore_name, tune_name


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
    spec, arms = comparison.spec, comparison.arms.values()
    home, known = open_study(storage, confirm_name(name)), study_names(storage)

    def read(*names: str) -> list[Progress]:
        return [read_progress(storage, open_study(storage, n)) for n in names if n in known]

    stages = {arm: read(explore_name(name, arm), tune_name(name, arm)) for arm in spec.arms}
    confirming = read(confirm_name(name), equal_time_name(name))
    every = [progress for own in [*stages.values(), confirming] for progress in own]
    trials = [trial for progress in every for trial in progress.trials]
    tried = {(p.study_name, t.number): t for p in every for t in p.trials}
    chosen = {
        arm.name: tried[arm.choice.study, arm.choice.trial]
        for arm in arms
        if arm.choice is not None
    }
    seeds = [run.seed for arm in arms for run in arm.runs]
    numbers = sorted({len(arm.runs) for arm in arms})
    settled = sum(pair.verdict.is_settled for pair in comparison.pairs)
    again = f"{shlex.quote(name)}-again"
    return Report(
        kind="comparison",
        title=name,
        description=spec.description,
        answer=answer(comparison),
        caveats=caveats(comparison),
        figures={
            "arms": str(len(arms)),
            "verdicts settled": f"{settled} of {len(comparison.pairs)}",
            "seeds of an arm": " to ".join(map(str, [*numbers[:1], *numbers[1:][-1:]])),
            "confirming runs": str(comparison.runs),
            "epochs trained": f"{sum(arm.epochs for arm in arms):,}",
            "time of all trials": time_words(trials),
        },
        contents={
            "What was asked": asked(comparison, home),
            "The verdicts": verdicts(comparison),
            "The arms and their cost": cost(comparison),
            "At equal time": equal_time(comparison),
            "The course of training": training(storage, comparison, home),
            "What tuning chose": tuning(comparison, chosen),
            "Each setting alone": each_setting(storage, comparison, stages, chosen),
            "The effective kernels": _kernels(comparison, chosen, weights),
            "How trials and runs ended": ends(comparison, stages),
            "Every confirming run": every_run(comparison),
            "Run it again": run_again(
                spec,
                home,
                trials,
                [
                    f"sweeps compare spec.yaml --study {again}",
                    f"sweeps export {again} -o best.yaml",
                    "sweeps train best.yaml --save best.safetensors --save best.onnx",
                ],
                {"seed of the tuning": str(spec.seed)}
                | ({"confirming seeds": f"{min(seeds)} to {max(seeds)}"} if seeds else {}),
            ),
        },
    )


def _kernels(comparison: Comparison, chosen: Chosen, weights: Path | None) -> list[Block]:
    if comparison.spec.objective is not None or not (chosen or weights):
        return []
    # torch takes seconds to import.
    from sweeps.reporting.report.kernels import kernel_blocks

    layers = {
        arm: RunConfig.model_validate(trial.user_attrs[CONFIG]).layer
        for arm, trial in chosen.items()
    }
    studies = {arm.choice.study for arm in comparison.arms.values() if arm.choice is not None}
    colors = {name: look.color for name, look in arm_looks(comparison).items()}
    return kernel_blocks(layers, weights, studies, colors)
