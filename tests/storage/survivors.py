"""A worker without training, whose database may become unavailable at any moment."""

import optuna

from storage import (
    EpochRecord,
    HardenedStorage,
    ask,
    end_trial,
    end_worker,
    holding,
    open_storage,
    open_study,
    register_worker,
    report_epoch,
)
from tests.storage.claiming import claim_one

EPOCHS = 2


def survive(url: str) -> list[int]:
    """Run trials until the budget is spent; the numbers of those that this worker ended."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = open_storage(url, patience=60)
    study = open_study(storage)
    worker_id = register_worker(storage, study._study_id, "survivor", "cpu").worker_id
    numbers = []
    while (claim := claim_one(storage, study, worker_id)) is not None:
        trial = ask(storage, study, claim)
        with holding(claim):
            run_trial(storage, study, trial, worker_id)
        numbers.append(trial.number)
    end_worker(storage, worker_id)
    return numbers


def run_trial(
    storage: HardenedStorage, study: optuna.Study, trial: optuna.Trial, worker_id: str
) -> None:
    """Run a trial that was asked for."""
    value = trial.suggest_float("x", 0, 100)
    for epoch in range(1, EPOCHS + 1):
        record = EpochRecord(epoch, {"val_accuracy": 0.5, "seconds": 1.0})
        report_epoch(
            storage, trial, record, value, epochs=EPOCHS, worker_id=worker_id, attributes={"e": 1}
        )
    assert end_trial(storage, study, trial.number, "completed", value=value)
