"""A study for a spec: made once, with the data's fingerprint and its baselines queued."""

import warnings
from typing import Any

import optuna

from storage import (
    CONFIGURATION,
    OVERRIDES,
    RETRIES,
    STUDY_UID,
    TARGET,
    HardenedStorage,
    batch,
    count_claims,
    create_study,
)
from sweeps.data import Dataset, split_rows
from sweeps.errors import SweepsError
from sweeps.spec.config import RunConfig
from sweeps.spec.data import NO_IMAGES
from sweeps.spec.imports import import_all
from sweeps.spec.search import as_param, pick_values, setting_of
from sweeps.spec.spec import Baseline, Spec
from sweeps.spec.validation import validate
from sweeps.study.attributes import (
    CLASSES,
    CODE,
    DATA_SIZE,
    FINGERPRINT,
    METRIC,
    SPEC,
    TRAIN_IMAGES,
    VALIDATION_IMAGES,
)
from sweeps.study.notes import study_note, write_note

_IDLE_OPTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "sampler": {"random": ("startup_trials",)},
    "pruner": {
        "asha": ("startup_trials",),
        "hyperband": ("startup_trials",),
        "median": ("reduction_factor",),
        "none": ("min_epochs", "reduction_factor", "startup_trials"),
    },
}


def study_name(spec: Spec) -> str:
    """Return the name of a spec's study, which has a fallback dataset's name in it."""
    alone = spec.data.name in (spec.name, NO_IMAGES)
    return spec.name if alone else f"{spec.name}-{spec.data.title}"


def read_spec(study: optuna.Study) -> Spec:
    """Read the spec that a study was made from.

    Raises:
        SweepsError: the study is not one of ours.
    """
    tree = study.user_attrs.get(SPEC)
    if tree is None:
        raise SweepsError(f"{study.study_name}: this study was not made by `sweeps run`")
    return validate(Spec, _without_idle_options(tree), study.study_name)


def _without_idle_options(tree: dict[str, Any]) -> dict[str, Any]:
    """A stored spec without options of other samplers, which earlier releases wrote for each."""
    tree = dict(tree)
    for section, idle in _IDLE_OPTIONS.items():
        options = tree.get(section, {})
        dropped = idle.get(options.get("name"), ())
        tree[section] = {name: value for name, value in options.items() if name not in dropped}
    return tree


def open_or_create_study(
    storage: HardenedStorage, spec: Spec, name: str, dataset: Dataset | None
) -> optuna.Study:
    """Open the study of that name, or create it; set the spec's budget as its target.

    Raises:
        SweepsError: there is one, made with other settings or other images.
    """

    study = create_study(
        storage, name, spec.directions, lambda study: _set_up(study, spec, dataset)
    )
    check_study(study, spec, dataset)

    def set_budget() -> None:
        target = spec.budget.trials
        if target is not None:
            # A study cannot have fewer trials than it has; nobody claims another meanwhile.
            target = max(target, count_claims(storage, study._study_id))
        wanted = {TARGET: target, RETRIES: spec.budget.retries}
        for attribute, value in wanted.items():
            if study.user_attrs.get(attribute) != value:
                study.set_user_attr(attribute, value)

    batch(storage, study._study_id, set_budget)
    return study


def check_study(study: optuna.Study, spec: Spec, dataset: Dataset | None) -> None:
    """Refuse a study that was made with other settings or code, or other images where known.

    Raises:
        SweepsError: it was.
    """
    _refuse_other_spec(study, spec)
    check_code(study, spec)
    if dataset is not None:
        _refuse_other_images(study, dataset)


def check_code(study: optuna.Study, spec: Spec) -> None:
    """Refuse code that the spec imports and that has changed since the study was made.

    Raises:
        SweepsError: it has, or it cannot be imported.
    """
    made_with = study.user_attrs.get(CODE, {})
    for where, found in import_all(spec.model_dump(mode="json")).items():
        if made_with.get(where, found.digest) != found.digest:
            raise SweepsError(
                f"{study.study_name}: {where}: {found.file} has changed since this study was made "
                f"({made_with[where]}, now {found.digest}); start another with --study NAME, or "
                "bring the file back"
            )


def trial_config(spec: Spec, trial: optuna.Trial) -> RunConfig:
    """Return the spec's configuration with the values that the trial suggests."""
    base = spec.base_config()
    values = pick_values(
        spec.search,
        base.settings(),
        lambda name, parameter: parameter.suggest(trial, name),
        trial.user_attrs.get(OVERRIDES, {}),
    )
    return base.with_values(values)


def refuse_deleted(study: optuna.Study, study_uid: str) -> None:
    """Refuse a study that is gone, or another one that has its number.

    Raises:
        SweepsError: the study was deleted.
    """
    try:
        attributes = study.user_attrs
    except KeyError:
        attributes = {}
    if attributes.get(STUDY_UID) != study_uid:
        raise SweepsError(f"{study.study_name}: was deleted while it ran") from None


def _set_up(study: optuna.Study, spec: Spec, dataset: Dataset | None) -> None:
    # With its defaults: a later release may have others.
    tree = spec.model_dump(mode="json")
    study.set_user_attr(SPEC, tree)
    code = {where: found.digest for where, found in import_all(tree).items()}
    if code:
        study.set_user_attr(CODE, code)
    if dataset is not None:
        study.set_user_attr(FINGERPRINT, dataset.fingerprint)
        study.set_user_attr(DATA_SIZE, dataset.size)
        train_rows, val_rows = split_rows(spec.base_config(), dataset)
        study.set_user_attr(TRAIN_IMAGES, len(train_rows))
        study.set_user_attr(VALIDATION_IMAGES, len(val_rows))
        study.set_user_attr(CLASSES, len(dataset.classes))
    study.set_user_attr(METRIC, spec.metrics[0])
    study.set_user_attr(TARGET, spec.budget.trials)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(spec.metrics)
    write_note(study, study_note(spec, dataset))
    for baseline in spec.baselines:
        params, overrides = split_values(spec, baseline)
        study.enqueue_trial(params, user_attrs={CONFIGURATION: baseline.name, OVERRIDES: overrides})


def split_values(spec: Spec, baseline: Baseline) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a baseline's values into its trial's parameters and what is fixed for it.

    The sampler learns from parameters. A setting is a parameter where it is searched under this
    configuration and can take that value. Where one setting of the layer lies outside the search
    space, the layer is another one: none of its settings says anything about those searched.
    """
    fixed = spec.base_config().settings()
    values = spec.baseline_values(baseline)
    params = {
        name: values[setting_of(name)]
        for name, parameter in spec.search.items()
        if setting_of(name) in values
        and parameter.is_active({**fixed, **values})
        and parameter.contains(values[setting_of(name)])
    }
    inside = {setting_of(name) for name in params}
    outside = (name for name in values if name not in inside and values[name] != fixed.get(name))
    if any(name.startswith("layer.") for name in outside):
        params = {name: v for name, v in params.items() if not name.startswith("layer.")}
    inside = {setting_of(name) for name in params}
    overrides = {name: value for name, value in values.items() if name not in inside}
    return {name: as_param(value) for name, value in params.items()}, overrides


def _refuse_other_spec(study: optuna.Study, spec: Spec) -> None:
    made_with = read_spec(study)
    changed = differences(made_with.model_dump(mode="json"), spec.model_dump(mode="json"))
    if made_with.base_config().settings() == spec.base_config().settings():
        # A new stem's stride of 1 may be written out or not.
        changed = [name for name in changed if name != "layer.stride"]
    # A budget may grow, words may change.
    changed = [name for name in changed if name.split(".")[0] not in ("budget", "description")]
    if changed:
        raise SweepsError(
            f"{study.study_name}: this study was made with other settings ({', '.join(changed)}); "
            "start another with --study NAME, or bring the settings back"
        )


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Return the dotted names of what differs between two trees."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        return [
            inner
            for name in names
            for inner in differences(old.get(name), new.get(name), f"{path}.{name}".lstrip("."))
        ]
    return [] if old == new else [path]


def _refuse_other_images(study: optuna.Study, dataset: Dataset) -> None:
    made_with = (study.user_attrs.get(FINGERPRINT), study.user_attrs.get(DATA_SIZE))
    if made_with != (dataset.fingerprint, dataset.size):
        raise SweepsError(
            f"{study.study_name}: this study was made with other images ({made_with[0]}, "
            f"{made_with[1]} pixels) than the {dataset.name} at hand ({dataset.fingerprint}, "
            f"{dataset.size} pixels); start another with --study NAME, or bring the images back"
        )
