"""A study's best trials as exported configurations."""

import optuna
from optuna.trial import FrozenTrial

from storage import CONFIGURATION
from sweeps.errors import SweepsError
from sweeps.export.exported import Environment, Exported, ExportedData, Source
from sweeps.spec.config import RunConfig
from sweeps.spec.imports import references
from sweeps.study import attributes
from sweeps.study.attributes import TRAIN_IMAGES, VALIDATION_IMAGES, image_count
from sweeps.study.progress import best_first, pareto_front, study_directions


def best_trials(study: optuna.Study, count: int) -> list[FrozenTrial]:
    """Return the complete trials with the best values, best first.

    Raises:
        SweepsError: no trial is complete.
    """
    trials = best_first(study.get_trials(deepcopy=False), study_directions(study))
    if not trials:
        raise SweepsError(f"{study.study_name}: no trial is complete yet; resume the sweep first")
    return trials[:count]


def pareto_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials of a study's Pareto front, those with the best first objective first.

    Raises:
        SweepsError: no trial is complete, or the study has one objective.
    """
    if len(study.directions) == 1:
        raise SweepsError(f"{study.study_name}: has one objective; for its N best: --top N")
    return pareto_front(best_trials(study, len(study.trials)), study_directions(study))


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
            train_images=image_count(study.user_attrs, TRAIN_IMAGES),
            validation_images=image_count(study.user_attrs, VALIDATION_IMAGES),
            classes=study.user_attrs.get(attributes.CLASSES),
        ),
        seed=config.seed,
        code={
            where: study.user_attrs[attributes.CODE][where]
            for where, _ in references(config.model_dump())
        },
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
