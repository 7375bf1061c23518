"""Comparisons made by hand, of trials that nobody trained: in no time, and with known values."""

import math
import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import optuna
from optuna.trial import TrialState

from storage import TARGET, HardenedStorage, batch
from sweeps.data import Dataset
from sweeps.spec.comparison import ComparisonSpec, parse_comparison
from sweeps.spec.spec import Spec
from sweeps.study.stages import (
    CHOSEN,
    COMPARISON,
    EQUAL_TIME,
    confirm_name,
    equal_time_name,
    explore_name,
    tune_name,
)
from sweeps.study.study import open_or_create_study, trial_config

TREE: dict[str, Any] = {
    "name": "made",
    "description": "Made by hand.",
    "data": {"name": "patterns", "size": 16, "train_limit": 300, "validation_limit": 200},
    "training": {"epochs": 4, "batch_size": 50},
    "search": {"training.learning_rate": {"float": [0.01, 1.0], "log": True}},
    "arms": ["plain-3x3", "linear-7x7", "tuned-5x5"],
    "budget": {"explore": 4, "tune": 4, "most_seeds": 12},
}
BEST_RATE = 0.1
ENVIRONMENT = {
    "device": "cpu",
    "device_name": "a processor",
    "threads": 1,
    "python": "3.11",
    "libraries": {"torch": "2.15"},
}
#: What an arm's run reaches, by its name, seed and epoch; ``None`` where it dies.
Value = Callable[[str, int, int], float | None]


def early_lead(arm: str, seed: int, epoch: int) -> float:
    """The arm that is not plain starts quicker and ends worse, by as much."""
    noise = random.Random(seed).gauss(0, 0.02) + random.Random(f"{arm} {seed}").gauss(0, 0.002)
    lead = 0.0 if arm == "plain-3x3" else 0.1 - 0.05 * (epoch - 1)
    return 0.4 + 0.05 * epoch + lead + noise


def make_comparison(
    storage: HardenedStorage,
    dataset: Dataset,
    *,
    seeds: int = 8,
    value: Value = early_lead,
    explored: int = 4,
    tuned: bool = True,
    equal_time: bool = False,
    micro_batches: Mapping[str, int] = MappingProxyType({}),
    **changes: Any,
) -> ComparisonSpec:
    """Write a comparison's studies.

    Args:
        storage: where.
        dataset: its images.
        seeds: how many runs confirm each arm.
        value: what runs reach.
        explored: how many trials explore each arm.
        tuned: whether the arms' settings are chosen.
        equal_time: whether there are runs at equal time, of half as many epochs for other arms.
        micro_batches: by arm, in how many parts its runs computed their batches after they ran out
            of memory.
        changes: of its spec, :data:`TREE`.
    """
    spec = parse_comparison(TREE | {"equal_time": equal_time} | changes, "made")
    name, epochs = spec.name, spec.training.epochs
    home = open_or_create_study(storage, spec.confirm_spec(), confirm_name(name), dataset)
    choices = {}
    for arm in spec.arms:
        stages = {explore_name(name, arm): spec.explore_spec(arm)}
        if tuned:
            stages[tune_name(name, arm)] = spec.tune_spec(arm)
        for study_name, stage in stages.items():
            study = open_or_create_study(storage, stage, study_name, dataset)
            _tune(storage, study, stage, 4 if ".tune." in study_name else explored)
        values = {**spec.arms[arm].set, "training.learning_rate": BEST_RATE}
        choices[arm] = {"study": study_name, "trial": 0, "value": 0.5, "values": values}

    def confirm() -> None:
        home.set_user_attr(COMPARISON, spec.model_dump(mode="json"))
        home.set_user_attr(TARGET, 0)
        if not tuned:
            return
        home.set_user_attr(CHOSEN, choices)
        for run in range(seeds):
            for arm in spec.arms:
                parts = micro_batches.get(arm)
                _add_run(home, spec, arm, run, epochs, value, parts)

    batch(storage, home._study_id, confirm)
    if equal_time:
        short = [arm for arm in spec.arms if arm != spec.reference]
        times = {arm: epochs // 2 if arm in short else epochs for arm in spec.arms}
        batch(storage, home._study_id, lambda: home.set_user_attr(EQUAL_TIME, times))
        study = open_or_create_study(storage, spec.confirm_spec(), equal_time_name(name), dataset)
        for run in range(seeds):
            for arm in short:
                _add_run(study, spec, arm, run, times[arm], value)
    return spec


def _tune(storage: HardenedStorage, study: optuna.Study, stage: Spec, count: int) -> None:
    """Some trials: the first is the best, the last is pruned."""
    study.sampler = optuna.samplers.RandomSampler(seed=0)

    def write() -> None:
        study.enqueue_trial({"training.learning_rate": BEST_RATE})
        for number in range(count):
            trial = study.ask()
            config = trial_config(stage, trial)
            reached = 0.5 - 0.1 * abs(math.log10(config.training.learning_rate / BEST_RATE))
            trial.set_user_attr("config", config.model_dump(mode="json"))
            trial.set_user_attr("environment", ENVIRONMENT)
            trial.report(reached, 1)
            if number == count - 1:
                study.tell(trial, state=TrialState.PRUNED)
            else:
                study.tell(trial, reached)

    batch(storage, study._study_id, write)


def _add_run(
    study: optuna.Study,
    spec: ComparisonSpec,
    arm: str,
    run: int,
    epochs: int,
    value: Value,
    micro_batches: int | None = None,
) -> None:
    seed = spec.seed_of(run)
    reached = {epoch: value(arm, seed, epoch) for epoch in range(1, epochs + 1)}
    curve = {epoch: each for epoch, each in reached.items() if each is not None}
    died = len(curve) < epochs
    known: dict[str, Any] = {
        "configuration": arm,
        "overrides": {"seed": seed}
        | ({"training.micro_batches": micro_batches} if micro_batches else {}),
        "parameters": 1000,
        "multiply_adds": 2_000_000,
        "metrics": {} if died else {"test_accuracy": curve[epochs], "step_ms": 10.0},
    }
    if died:
        known |= {"outcome": "diverged", "reason": "the loss was not finite"}
    trial = optuna.trial.create_trial(
        state=TrialState.FAIL if died else TrialState.COMPLETE,
        value=None if died else curve[epochs],
        intermediate_values=curve,
        user_attrs=known,
    )
    trial.datetime_complete = datetime.now()
    trial.datetime_start = trial.datetime_complete - timedelta(seconds=10)
    study.add_trial(trial)
