"""A study's best trials, and the arms of a comparison, as exported configurations."""

import math
import shlex
from typing import TYPE_CHECKING

import optuna
from optuna.trial import FrozenTrial

from storage import CONFIGURATION, HardenedStorage, open_study
from sweeps.errors import SweepsError
from sweeps.export.exported import (
    Confirmed,
    DeclaredVerdict,
    Environment,
    Exported,
    ExportedData,
    Source,
)
from sweeps.spec.config import RunConfig
from sweeps.spec.imports import references
from sweeps.spec.validation import unknown_name
from sweeps.study import attributes
from sweeps.study.attributes import TRAIN_IMAGES, VALIDATION_IMAGES
from sweeps.study.progress import best_first, pareto_front, study_directions

if TYPE_CHECKING:
    from sweeps.study.comparison import Comparison


def best_trials(study: optuna.Study, count: int) -> list[FrozenTrial]:
    """Return the complete trials with the best values, best first.

    Raises:
        SweepsError: no trial is complete.
    """
    trials = best_first(study.get_trials(deepcopy=False), study_directions(study))
    if not trials:
        raise SweepsError(
            f"{study.study_name}: no trial is complete yet; wait for one, or resume the sweep"
        )
    return trials[:count]


def pareto_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials of a study's Pareto front, those with the best first objective first.

    Raises:
        SweepsError: no trial is complete, or the study has one objective.
    """
    if len(study.directions) == 1:
        raise SweepsError(f"{study.study_name}: has one objective; for its N best: --top N")
    return pareto_front(best_trials(study, len(study.trials)), study_directions(study))


def pick_arm(comparison: "Comparison", arm: str | None) -> str:
    """Return the arm of a comparison that is to be exported: the declared winner, or one named.

    Raises:
        SweepsError: no arm is declared better than all that it is compared with, there is none of
            that name, or its settings are not chosen yet.
    """
    if arm is not None and arm not in comparison.arms:
        raise SweepsError(f"{comparison.name}: {unknown_name(arm, [*comparison.arms], 'arm')}")
    untuned = [each.name for each in comparison.arms.values() if each.choice is None]
    if arm is None:
        winners = comparison.winners()
        if untuned:
            raise SweepsError(f"{comparison.name}: its arms are not tuned yet; resume it first")
        if not winners:
            against = comparison.spec.reference
            than = f"than {against}" if against else "than all others"
            raise SweepsError(
                f"{comparison.name}: no arm is declared better {than}; to export one all the same, "
                f"name it: --arm {' | '.join(map(shlex.quote, comparison.arms))}; or name another "
                "study"
            )
        arm = winners[0]
    if arm in untuned:
        raise SweepsError(f"{comparison.name}: {arm} is not tuned yet; resume the comparison first")
    return arm


def export_arm(
    storage: HardenedStorage, comparison: "Comparison", arm: str, storage_kind: str
) -> Exported:
    """Export the settings that an arm's tuning chose, with what confirming runs made of them."""
    choice = comparison.arms[arm].choice
    assert choice is not None
    study = open_study(storage, choice.study)
    exported = export_trial(study, study.get_trials(deepcopy=False)[choice.trial], storage_kind)
    assert exported.source is not None
    source = exported.source.model_copy(update={"confirmed": _confirmed(comparison, arm)})
    return exported.model_copy(update={"source": source})


def _confirmed(comparison: "Comparison", arm: str) -> Confirmed | None:
    spec, result = comparison.spec, comparison.arms[arm]
    if not result.runs:
        return None
    low, high = map(_finite, result.interval(spec.error))
    return Confirmed(
        comparison=comparison.name,
        arm=arm,
        metric=spec.measured.name,
        direction=spec.measured.direction,
        mean=result.mean,
        low=low,
        high=high,
        seeds=[run.seed for run in result.runs],
        died=result.deaths,
        margin=spec.margin,
        error=spec.error,
        verdicts={
            pair.other: DeclaredVerdict(
                declaration=pair.verdict.declaration,
                difference=pair.verdict.mean,
                low=_finite(pair.verdict.low),
                high=_finite(pair.verdict.high),
                probability=pair.probability,
                seeds=pair.verdict.seeds,
            )
            for pair in comparison.pairs_of(arm)
            if pair.verdict.seeds
        },
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def export_trial(study: optuna.Study, trial: FrozenTrial, storage_kind: str) -> Exported:
    """Export a trial's configuration with its origin.

    Raises:
        SweepsError: the trial was not run by ``sweeps``.
    """
    if attributes.CONFIG not in trial.user_attrs:
        raise SweepsError(
            f"{study.study_name}: trial {trial.number} has no configuration; it was not run by "
            "`sweeps run`"
        )
    config = RunConfig.model_validate(trial.user_attrs[attributes.CONFIG])
    data = config.data.model_dump()
    data["size"] = study.user_attrs.get(attributes.DATA_SIZE)
    assert trial.datetime_complete is not None
    names = study.metric_names or [study.user_attrs[attributes.METRIC]]
    objectives = dict(zip(names, trial.values, strict=True))
    return Exported(
        objective=config.objective,
        options=config.options,
        layer=config.layer,
        model=config.model,
        training=config.training,
        data=ExportedData(
            **data,
            fingerprint=study.user_attrs.get(attributes.FINGERPRINT),
            train_images=study.user_attrs.get(TRAIN_IMAGES),
            validation_images=study.user_attrs.get(VALIDATION_IMAGES),
            classes=study.user_attrs.get(attributes.CLASSES),
        ),
        seed=config.seed,
        code=_code(study, config),
        source=Source(
            study=study.study_name,
            storage=storage_kind,
            trial=trial.number,
            baseline=trial.user_attrs.get(CONFIGURATION),
            metric=study.user_attrs[attributes.METRIC],
            value=trial.values[0],
            objectives=objectives if len(objectives) > 1 else {},
            metrics=trial.user_attrs.get(attributes.METRICS, {}),
            params=trial.params,
            finished=trial.datetime_complete.astimezone().isoformat(timespec="seconds"),
            environment=Environment.model_validate(trial.user_attrs[attributes.ENVIRONMENT]),
        ),
    )


def _code(study: optuna.Study, config: RunConfig) -> dict[str, str]:
    """The digests of the code that a configuration names, but for what a baseline brought."""
    digests = study.user_attrs.get(attributes.CODE, {})
    noted = dict(references(study.user_attrs.get(attributes.SPEC)))
    return {
        where: digests[where]
        for where, reference in references(config.model_dump())
        if where in digests and noted.get(where) == reference
    }
