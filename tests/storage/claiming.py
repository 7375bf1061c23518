"""Claims, and trials that are asked for with them, as a worker does it."""

from collections.abc import Iterator
from contextlib import contextmanager

import optuna

from storage import Claim, HardenedStorage, ask, claim_trial, holding, study_uid


def claim_one(storage: HardenedStorage, study: optuna.Study, worker_id: str = "w") -> Claim | None:
    """Claim a trial of a study's budget."""
    return claim_trial(storage, study._study_id, study_uid(storage, study), worker_id)


def begin(storage: HardenedStorage, study: optuna.Study, worker_id: str = "w") -> optuna.Trial:
    """A trial of a worker that is nothing but its claim."""
    claimed = claim_one(storage, study, worker_id)
    assert claimed is not None
    return ask(storage, study, claimed)


@contextmanager
def at_work(
    storage: HardenedStorage, study: optuna.Study, worker_id: str = "w"
) -> Iterator[optuna.Trial]:
    """A trial of a worker whose claim the block holds."""
    claimed = claim_one(storage, study, worker_id)
    assert claimed is not None
    trial = ask(storage, study, claimed)
    with holding(claimed):
        yield trial
