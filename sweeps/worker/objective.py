"""The objective of a sweep's trials: train the trial's configuration and report every epoch."""

import torch
from torch import nn

from storage import CONFIGURATION
from sweeps.errors import OutOfMemory
from sweeps.models import model_facts, multiply_adds
from sweeps.spec.config import RunConfig
from sweeps.study import attributes
from sweeps.study.notes import trial_note
from sweeps.training import (
    MICRO_BATCHES,
    is_out_of_memory,
    measure_test,
    new_model,
    resolve_precision,
    train,
)
from sweeps.worker.context import TrialContext


def train_network(context: TrialContext, *, test: bool = False) -> None:
    """Train a trial's network and report every epoch: the objective of specs that name none.

    Args:
        context: the trial.
        test: whether the last epoch also reports what was measured on the test part.

    Raises:
        OutOfMemory: with settings for a retry that needs less, where there are some.
        NotLearning: it was given up early; see :class:`sweeps.training.chance.ChanceWatch`.
        Interrupted, Diverged, optuna.TrialPruned: see :class:`sweeps.worker.Objective`.
    """
    try:
        _train(context, test)
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


def _train(context: TrialContext, test: bool) -> None:
    assert context.dataset is not None
    device = torch.device(context.device)
    config = context.config
    if device.type == "cpu" and config.training.precision == "auto":
        # All trials of the study have the same, since they are compared with each other, and
        # measurements may differ between workers, and from one start of a worker to the next.
        agreed = context.agree(attributes.CPU_PRECISION, lambda: _cpu_precision(context))
        config = config.with_values({"training.precision": agreed})
    config = resolve_precision(config, device, context.dataset)
    # Every batch has the same shape, so trying cuDNN's algorithms once pays.
    torch.backends.cudnn.benchmark = True
    model = new_model(config, context.dataset)
    facts = model_facts(model, context.dataset.size)
    configuration = context.trial.user_attrs.get(CONFIGURATION)
    # The process described the trial by its settings; now the network is known too.
    context.describe(
        epochs=config.training.epochs,
        note=trial_note(config, facts, configuration, context.worker_name),
        attributes={
            attributes.KERNEL_SIZE: facts.kernel_size,
            attributes.RECEPTIVE_FIELD: facts.receptive_field,
            attributes.PARAMETERS: facts.parameters,
            attributes.CONFIG: config.model_dump(mode="json"),
            **({attributes.MULTIPLY_ADDS: _multiply_adds(model, config, context)} if test else {}),
        },
    )
    speeds: list[float] = []
    for result in train(
        config,
        context.dataset,
        device,
        model=model,
        should_stop=context.should_stop,
        checkpoint=context.checkpoint,
        stop_at_chance=context.may_prune,
    ):
        speeds.append(result.images_per_second)
        median = sorted(speeds)[len(speeds) // 2]
        metrics = result.metrics()
        if test and result.epoch == config.training.epochs and not result.diverged:
            metrics |= measure_test(model, config, context.dataset, device, context.should_stop)
        context.report(
            result.epoch,
            replayed=result.replayed,
            diverged=result.diverged,
            attributes={attributes.IMAGES_PER_SECOND: round(median)},
            **metrics,
        )


def _cpu_precision(context: TrialContext) -> str:
    """Return the precision that a study begins with on CPUs."""
    # Older releases noted none: where there are epochs already, they were trained in float32.
    if any(trial.intermediate_values for trial in context.trials()):
        return "float32"
    assert context.dataset is not None
    resolved = resolve_precision(context.config, torch.device("cpu"), context.dataset)
    return resolved.training.precision


def _multiply_adds(model: nn.Module, config: RunConfig, context: TrialContext) -> int:
    """Count those of a forward pass for one image, in batches as they are trained on."""
    settings, size = config.training, context.dataset.size if context.dataset else 0
    count = -(-settings.batch_size // settings.micro_batches)
    images = torch.zeros(count, 3, size, size)
    if settings.channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    return multiply_adds(model, images)
