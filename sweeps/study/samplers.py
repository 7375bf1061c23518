"""Optuna's samplers and pruners as a spec names them."""

from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    SuccessiveHalvingPruner,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from sweeps.spec.spec import Spec


def make_sampler(spec: Spec, stream: int) -> BaseSampler:
    """The spec's sampler.

    Args:
        spec: the sweep.
        stream: tells the study's workers apart.
    """
    seed = (spec.seed * 1_000_003 + stream) % 2**32
    if spec.sampler.name == "random":
        return RandomSampler(seed=seed)
    # In groups, since conditional settings are missing from some of the trials.
    return TPESampler(
        n_startup_trials=spec.sampler.startup_trials, multivariate=True, group=True, seed=seed
    )


def make_pruner(spec: Spec) -> BasePruner:
    """The spec's pruner."""
    pruner = spec.pruner
    if pruner.name == "asha":
        return SuccessiveHalvingPruner(
            min_resource=pruner.min_epochs, reduction_factor=pruner.reduction_factor
        )
    if pruner.name == "hyperband":
        return HyperbandPruner(
            min_resource=pruner.min_epochs,
            max_resource=spec.training.epochs,
            reduction_factor=pruner.reduction_factor,
        )
    if pruner.name == "median":
        return MedianPruner(
            n_startup_trials=pruner.startup_trials, n_warmup_steps=pruner.min_epochs
        )
    return NopPruner()
