"""Having done once what each worker does, so that its forks need not import or compile it."""

import tempfile
from pathlib import Path

import optuna

from storage import (
    ask,
    create_study,
    end_trial,
    holding,
    note_progress,
    open_storage,
    register_worker,
)
from sweeps.study.progress import read_progress
from tests.storage.claiming import claim_one


def warm_up() -> None:
    """Run a trial in a database that is thrown away; no connection is left."""
    with tempfile.TemporaryDirectory() as folder:
        storage = open_storage(str(Path(folder) / "sweeps.db"), create=True)
        study = create_study(storage, "warm-up", "maximize", lambda study: None)
        study.sampler = optuna.samplers.RandomSampler()
        study.enqueue_trial({"x": 0.5})
        worker = register_worker(storage, study._study_id, "none", "none")
        for _ in range(2):
            claim = claim_one(storage, study, worker.worker_id)
            assert claim is not None
            trial = ask(storage, study, claim)
            with holding(claim):
                value = trial.suggest_float("x", 0, 1)
                trial.report(value, 1)
                trial.should_prune()
                end_trial(storage, study, trial.number, "completed", value=value)
        note_progress(storage, worker.worker_id, trial_number=None)
        read_progress(storage, study)
        storage.engine.dispose()
