"""What the tests of parallel use run in processes of their own."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from typing import Any

import optuna

from storage import (
    ask,
    create_study,
    end_trial,
    holding,
    open_storage,
    open_study,
    reclaim,
    register_worker,
)
from tests.storage.claiming import claim_one

#: Processes that are forks of one that has everything imported and no database open.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.storage.processes"])


def run_at_once(target: Callable[..., Any], arguments: list[tuple[Any, ...]]) -> list[Any]:
    """Call a function in as many fresh processes at once; their results, or what they raised."""
    with CONTEXT.Pool(len(arguments)) as pool:
        return pool.starmap_async(target, arguments).get(timeout=120)


def open_and_create(url: str, names: tuple[str, ...]) -> list[str]:
    """Create studies with ten queued trials each, unless another process does."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = open_storage(url, create=True)

    def set_up(study: optuna.Study) -> None:
        for index in range(10):
            study.set_user_attr("half way", index)
            study.enqueue_trial({"x": float(index)})

    return [create_study(storage, name, "maximize", set_up).study_name for name in names]


def claim_until_spent(url: str, most: int | None = None) -> int:
    """Claim and run trials until the budget is spent, or so many are; how many there were."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = open_storage(url)
    study = open_study(storage)
    worker = register_worker(storage, study._study_id, "worker", "cpu")
    count = 0
    while (claim := claim_one(storage, study, worker.worker_id)) is not None:
        trial = ask(storage, study, claim)
        with holding(claim):
            value = trial.suggest_float("x", 0, 1)
            assert end_trial(storage, study, trial.number, "completed", value=value)
        count += 1
        if count == most:
            break
    return count


def pop_all(url: str, count: int) -> list[int]:
    """Ask for so many trials; the numbers in the order they came."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = open_study(open_storage(url))
    numbers = []
    for _ in range(count):
        trial = study.ask()
        numbers.append(trial.number)
        trial.report(0.5, 1)
        study.tell(trial, 0.5)
    return numbers


def reclaim_once(url: str) -> list[int]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = open_storage(url)
    return reclaim(storage, open_study(storage))


def die_in_the_middle(url: str, after: str) -> None:
    """A worker that is killed after it has claimed, asked, or picked a value."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = open_storage(url)
    study = open_study(storage)
    worker = register_worker(storage, study._study_id, "doomed", "cpu")
    claim = claim_one(storage, study, worker.worker_id)
    assert claim is not None
    if after != "claim":
        trial = ask(storage, study, claim)
        if after == "value":
            trial.suggest_float("x", 0, 1)
    os.kill(os.getpid(), signal.SIGKILL)


def run_and_wait(target: Callable[..., Any], *arguments: Any) -> int | None:
    """Call a function in a fresh process; its exit status."""
    process = CONTEXT.Process(target=target, args=arguments)
    process.start()
    process.join(timeout=60)
    return process.exitcode
