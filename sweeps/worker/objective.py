"""What a trial does: pick a configuration, train it, report every epoch, stop if hopeless."""

import math

import optuna
import torch

from storage import (
    CONFIGURATION,
    OVERRIDES,
    EpochRecord,
    Outcome,
    batch,
    note_progress,
    report_epoch,
)
from sweeps.data import Dataset
from sweeps.errors import OutOfMemory
from sweeps.export.environment import Environment
from sweeps.models import model_facts
from sweeps.spec.config import RunConfig
from sweeps.spec.search import pick_values
from sweeps.spec.spec import Spec
from sweeps.study import attributes
from sweeps.study.notes import trial_note, write_note
from sweeps.training import (
    MICRO_BATCHES,
    EpochResult,
    is_out_of_memory,
    new_model,
    resolve_precision,
    train,
)
from sweeps.worker.checkpoints import Checkpoints, TrialCheckpoint
from sweeps.worker.trial import Desk


class TrainingObjective:
    """Trains the configuration that a trial picks; a :class:`sweeps.worker.trial.Objective`.

    Args:
        spec: the sweep.
        dataset: its images.
        device: where to train.
        environment: what is noted of it.
        checkpoints: where trials under way are kept.
    """

    def __init__(
        self,
        spec: Spec,
        dataset: Dataset,
        device: torch.device,
        environment: Environment,
        checkpoints: Checkpoints,
    ) -> None:
        self._spec = spec
        self._dataset = dataset
        self._device = device
        self._environment = environment
        self._checkpoints = checkpoints

    def __call__(self, desk: Desk, trial: optuna.Trial) -> tuple[Outcome, str | None, float | None]:
        trials = desk.study.get_trials(deepcopy=False)
        self._checkpoints.tidy(trials)
        config = resolve_precision(trial_config(self._spec, trial), self._device)
        try:
            return self._train(desk, trial, config, self._checkpoints.of(trial.number, trials))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            reason = f"out of memory: {next(iter(str(error).splitlines()), 'none left')}"
        # Outside of the handler, whose error holds on to the run's memory.
        torch.cuda.empty_cache()
        settings = config.training
        if settings.micro_batches > 1:
            raise OutOfMemory(f"{reason} (in {settings.micro_batches} micro-batches)", {})
        parts = min(MICRO_BATCHES, settings.batch_size)
        raise OutOfMemory(reason, {"training.micro_batches": parts} if parts > 1 else {})

    def _train(
        self, desk: Desk, trial: optuna.Trial, config: RunConfig, checkpoint: TrialCheckpoint
    ) -> tuple[Outcome, str | None, float | None]:
        epochs = config.training.epochs
        note_progress(desk.storage, desk.worker_id, trial_number=trial.number, epochs=epochs)
        model = new_model(config, self._dataset)
        facts = model_facts(model)
        configuration = trial.user_attrs.get(CONFIGURATION)
        known = {
            attributes.WORKER: desk.worker_name,
            attributes.KERNEL_SIZE: facts.kernel_size,
            attributes.RECEPTIVE_FIELD: facts.receptive_field,
            attributes.PARAMETERS: facts.parameters,
            attributes.CONFIG: config.model_dump(mode="json"),
            attributes.ENVIRONMENT: self._environment.model_dump(mode="json"),
        }

        def describe() -> None:
            for name, value in known.items():
                trial.set_user_attr(name, value)
            write_note(trial, trial_note(config, facts, configuration, desk.worker_name))

        batch(desk.storage, desk.study._study_id, describe)

        speeds = []
        metric = math.nan
        results = train(
            config,
            self._dataset,
            self._device,
            model=model,
            should_stop=desk.should_stop,
            checkpoint=checkpoint,
        )
        for result in results:
            speeds.append(result.images_per_second)
            metric = getattr(result, self._spec.metric)
            report_epoch(
                desk.storage,
                trial,
                _record(result),
                metric,
                epochs=epochs,
                worker_id=desk.worker_id,
                attributes={attributes.IMAGES_PER_SECOND: round(sorted(speeds)[len(speeds) // 2])},
            )
            if result.diverged:
                return "diverged", f"the loss was not finite in epoch {result.epoch}", None
            # Asked in every epoch, since the others are measured against what was asked of. But
            # a baseline runs to its end: a comparison needs it whole; and an epoch that
            # was survived once is not judged anew by what others have reached since.
            hopeless = trial.should_prune()
            heeded = configuration is None and not result.told_again
            if hopeless and heeded and result.epoch < epochs:
                return "pruned", None, None
        return "completed", None, metric


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
