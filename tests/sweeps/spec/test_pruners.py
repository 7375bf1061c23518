"""Pruners by name: which trials they stop, and what is refused."""

import optuna
import pytest

from sweeps.errors import SweepsError
from sweeps.spec.spec import parse_spec


class Never(optuna.pruners.NopPruner):
    """A pruner of one's own."""


@pytest.mark.parametrize(
    ("pruner", "earliest"),
    [
        ({"name": "asha", "min_epochs": 1, "reduction_factor": 2}, 1),
        ({"name": "hyperband", "min_epochs": 1, "reduction_factor": 2}, 1),
        ({"name": "median", "min_epochs": 2, "startup_trials": 3}, 2),
        ({"name": "percentile", "percentile": 60, "min_epochs": 3}, 3),
        ({"name": "wilcoxon", "min_epochs": 5}, 5),
        ({"name": "none"}, None),
        ({"import": f"{__name__}:Never"}, None),
        (
            {
                "import": "optuna.pruners:ThresholdPruner",
                "options": {"lower": 0.2, "n_warmup_steps": 4},
            },
            4,
        ),
    ],
)
def test_hopeless_trials_are_stopped_and_not_before_their_time(small, pruner, earliest):
    """Of 30 trials the last 20 sink from 0.1; the others rise together."""
    small["pruner"], small["training"]["epochs"] = pruner, 8
    spec = parse_spec(small, "mine.yaml")
    study = optuna.create_study(directions=spec.directions, pruner=spec.make_pruner())
    pruned_at = {}
    for number in range(30):
        trial = study.ask()
        for epoch in range(1, 9):
            hopeless = number >= 10
            value = 0.1 - 0.01 * epoch if hopeless else 0.5 + 0.01 * epoch + 0.001 * number
            trial.report(value, epoch)
            if trial.should_prune():
                pruned_at[number] = epoch
                break
        state = optuna.trial.TrialState.PRUNED if number in pruned_at else None
        study.tell(trial, None if state else 0.5, state=state)
    hopeless = {number: epoch for number, epoch in pruned_at.items() if number >= 10}
    assert bool(hopeless) == (earliest is not None)
    if earliest is not None:
        assert min(pruned_at.values()) >= earliest


@pytest.mark.parametrize(
    ("pruner", "message"),
    [
        ({"name": "ahsa"}, "pruner.name: no such name; did you mean asha"),
        (
            {"name": "median", "reduction_factor": 3},
            "pruner.reduction_factor: no such key; there are: startup_trials, min_epochs, interval",
        ),
        (
            {"name": "median", "startup": 3},
            "pruner.startup: no such key; did you mean startup_trials",
        ),
    ],
)
def test_what_is_wrong_is_refused_with_the_right_names(small, pruner, message):
    small["pruner"] = pruner
    with pytest.raises(SweepsError, match=f"^mine.yaml: {message}"):
        parse_spec(small, "mine.yaml")
