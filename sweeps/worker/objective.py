"""The objective of a sweep's trials: train the trial's configuration and report every epoch."""

import optuna
import torch

from storage import CONFIGURATION, OVERRIDES
from sweeps.data import Dataset
from sweeps.errors import OutOfMemory
from sweeps.export.exported import Environment
from sweeps.models import model_facts
from sweeps.spec.config import RunConfig
from sweeps.spec.search import pick_values
from sweeps.spec.spec import Spec
from sweeps.study import attributes
from sweeps.study.notes import trial_note
from sweeps.training import MICRO_BATCHES, is_out_of_memory, new_model, train
from sweeps.worker.context import TrialContext


def trial_config(spec: Spec, trial: optuna.Trial) -> RunConfig:
    """Return the spec's configuration with the values that the trial suggests."""
    base = spec.base_config()
    values = pick_values(
        spec.search,
        base.value,
        lambda name, parameter: parameter.suggest(trial, name),
        trial.user_attrs.get(OVERRIDES, {}),
    )
    return base.with_values(values)


class TrainingObjective:
    """Trains a trial's configuration; a :class:`sweeps.worker.Objective`.

    Args:
        dataset: the images of the study.
        environment: noted with every trial.
    """

    def __init__(self, dataset: Dataset, environment: Environment) -> None:
        self._dataset = dataset
        self._environment = environment.model_dump(mode="json")

    def __call__(self, context: TrialContext) -> None:
        try:
            self._train(context)
            return
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            reason = f"out of memory: {next(iter(str(error).splitlines()), 'none left')}"
        # Outside of the handler, whose error holds on to the run's memory.
        torch.cuda.empty_cache()
        settings = context.config.training
        if settings.micro_batches > 1:
            raise OutOfMemory(f"{reason} (in {settings.micro_batches} micro-batches)", {})
        parts = min(MICRO_BATCHES, settings.batch_size)
        raise OutOfMemory(reason, {"training.micro_batches": parts} if parts > 1 else {})

    def _train(self, context: TrialContext) -> None:
        config: RunConfig = context.config
        model = new_model(config, self._dataset)
        facts = model_facts(model, self._dataset.size)
        configuration = context.trial.user_attrs.get(CONFIGURATION)
        context.describe(
            epochs=config.training.epochs,
            note=trial_note(config, facts, configuration, context.worker_name),
            attributes={
                attributes.KERNEL_SIZE: facts.kernel_size,
                attributes.RECEPTIVE_FIELD: facts.receptive_field,
                attributes.PARAMETERS: facts.parameters,
                attributes.CONFIG: config.model_dump(mode="json"),
                attributes.ENVIRONMENT: self._environment,
            },
        )
        speeds: list[float] = []
        for result in train(
            config,
            self._dataset,
            torch.device(context.device),
            model=model,
            should_stop=context.should_stop,
            checkpoint=context.checkpoint,
        ):
            speeds.append(result.images_per_second)
            median = sorted(speeds)[len(speeds) // 2]
            context.report(
                result.epoch,
                replayed=result.replayed,
                diverged=result.diverged,
                attributes={attributes.IMAGES_PER_SECOND: round(median)},
                **result.metrics(),
            )
