"""One trial: pick a configuration, train it, report every epoch, end with a verdict."""

import math
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import optuna
import torch
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from storage import (
    CONFIGURATION,
    DATABASE_ERRORS,
    OUTCOME,
    OVERRIDES,
    REASON,
    EpochRecord,
    HardenedStorage,
    Outcome,
    abandon_trial,
    note_progress,
    record_epoch,
)
from sweeps import attributes
from sweeps.config import RunConfig
from sweeps.data import Dataset
from sweeps.environment import Environment
from sweeps.models import model_facts
from sweeps.notes import trial_note, write_note
from sweeps.search import pick_values
from sweeps.spec import Spec
from sweeps.training import EpochResult, Interrupted, new_model, resolve_precision, train


@dataclass(frozen=True)
class Desk:
    """What a worker works with: the same for all its trials."""

    study: optuna.Study
    storage: HardenedStorage
    spec: Spec
    dataset: Dataset
    device: torch.device
    environment: Environment
    worker_id: str
    worker_name: str
    should_stop: Callable[[], bool]


def run_trial(desk: Desk, trial: optuna.Trial) -> Outcome:
    """Run a trial to its end, whatever that is, and tell the study.

    Returns:
        How it ended. A failed one has its traceback in its attributes.
    """
    try:
        return _run_to_the_end(desk, trial)
    except UpdateFinishedTrialError:
        # This process was silent for so long that another took it for dead.
        return "lost"


def _run_to_the_end(desk: Desk, trial: optuna.Trial) -> Outcome:
    try:
        outcome, value = _train_trial(desk, trial)
    except Interrupted:
        frozen = desk.study.get_trials(deepcopy=False)[trial.number]
        abandon_trial(desk.study, desk.storage, frozen, "interrupted", "the sweep was stopped")
        return "interrupted"
    except (*DATABASE_ERRORS, UpdateFinishedTrialError):
        raise
    except Exception as error:
        first_line = next(iter(str(error).splitlines()), "")
        trial.set_user_attr(REASON, f"{type(error).__name__}: {first_line}")
        trial.set_user_attr(attributes.TRACEBACK, traceback.format_exc())
        trial.set_user_attr(OUTCOME, "failed")
        desk.study.tell(trial, state=TrialState.FAIL)
        return "failed"
    trial.set_user_attr(OUTCOME, outcome)
    if outcome == "completed":
        desk.study.tell(trial, value)
    else:
        desk.study.tell(trial, state=TrialState.PRUNED)
    return outcome


def trial_config(spec: Spec, trial: optuna.Trial) -> RunConfig:
    """The configuration of a trial: the spec's, with the values that the trial picks."""
    base = spec.base_config()
    values = pick_values(
        spec.search,
        base.value,
        lambda name, parameter: parameter.suggest(trial, name),
        trial.user_attrs.get(OVERRIDES, {}),
    )
    return base.with_values(values)


def _train_trial(desk: Desk, trial: optuna.Trial) -> tuple[Outcome, float]:
    config = resolve_precision(trial_config(desk.spec, trial), desk.device)
    note_progress(
        desk.storage, desk.worker_id, trial_number=trial.number, epochs=config.training.epochs
    )
    model = new_model(config, desk.dataset)
    facts = model_facts(model)
    configuration = trial.user_attrs.get(CONFIGURATION)
    known = {
        attributes.WORKER: desk.worker_name,
        attributes.KERNEL_SIZE: facts.kernel_size,
        attributes.RECEPTIVE_FIELD: facts.receptive_field,
        attributes.PARAMETERS: facts.parameters,
        attributes.CONFIG: config.model_dump(mode="json"),
        attributes.ENVIRONMENT: desk.environment.model_dump(mode="json"),
    }
    for name, value in known.items():
        trial.set_user_attr(name, value)
    write_note(trial, trial_note(config, facts, configuration, desk.worker_name))

    speeds = []
    value = math.nan
    results = train(config, desk.dataset, desk.device, model=model, should_stop=desk.should_stop)
    for result in results:
        record_epoch(desk.storage, trial._trial_id, _record(result))
        speeds.append(result.images_per_second)
        value = getattr(result, desk.spec.metric)
        trial.report(value, result.epoch)
        if result.diverged:
            trial.set_user_attr(REASON, f"the loss was not finite in epoch {result.epoch}")
            return "diverged", value
        note_progress(
            desk.storage,
            desk.worker_id,
            trial_number=trial.number,
            epoch=result.epoch,
            epochs=config.training.epochs,
            value=value,
        )
        trial.set_user_attr(attributes.IMAGES_PER_SECOND, round(sorted(speeds)[len(speeds) // 2]))
        # Asked for the yardsticks too, since the others are measured against what was asked of;
        # but they run to their end: a comparison needs them whole.
        hopeless = trial.should_prune()
        if hopeless and configuration is None and result.epoch < config.training.epochs:
            return "pruned", value
    return "completed", value


def _record(result: EpochResult) -> EpochRecord:
    def finite(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return EpochRecord(
        epoch=result.epoch,
        train_loss=finite(result.train_loss),
        val_loss=finite(result.val_loss),
        val_accuracy=finite(result.val_accuracy),
        learning_rate=result.learning_rate,
        seconds=result.seconds,
        images_per_second=result.images_per_second,
    )
