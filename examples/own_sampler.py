"""A sampler of your own: local search around the best trial so far.

``sweeps run own-sampler.yaml`` in this folder uses it. A sampler is a subclass of
``optuna.samplers.BaseSampler``; every worker makes one, with its own ``seed``.
"""

from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial


class LocalSampler(RandomSampler):
    """Moves each float a little from its best value; the rest, and the first trials, are random.

    Args:
        width: the largest move, as a share of the parameter's range.
        seed: of the random moves.
    """

    def __init__(self, width: float = 0.2, seed: int | None = None) -> None:
        super().__init__(seed)
        self._width = width

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        done = study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])
        known = [t for t in done if param_name in t.params]
        value = super().sample_independent(study, trial, param_name, param_distribution)
        if not known or not isinstance(param_distribution, FloatDistribution):
            return value
        maximize = study.direction == optuna.study.StudyDirection.MAXIMIZE
        best = (max if maximize else min)(known, key=lambda t: t.value or 0.0).params[param_name]
        # Between the best and the random value, so that it stays within the bounds.
        return best + self._width * (value - best)
