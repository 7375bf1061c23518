"""A worker: a process that runs trials of a study, one after another, while there are any."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from storage import (
    DATABASE_ERRORS,
    HEARTBEAT_SECONDS,
    REASON,
    HardenedStorage,
    attach_trial,
    beat,
    claim_trial,
    end_worker,
    note_progress,
    open_study,
    register_worker,
    release_claim,
)
from sweeps.attributes import DATA_SIZE, FINGERPRINT, TARGET
from sweeps.data import open_dataset
from sweeps.environment import describe_environment
from sweeps.errors import SweepsError
from sweeps.samplers import make_pruner, make_sampler
from sweeps.study import read_spec
from sweeps.trial import Desk, run_trial

MAX_FAILURES_IN_A_ROW = 3


def run_worker(
    storage: HardenedStorage,
    study_name: str | None,
    *,
    name: str,
    device: str,
    device_label: str,
    threads: int,
    data_dir: Path,
    deadline: float | None,
    should_stop: Callable[[], bool],
) -> None:
    """Run trials of a study until its budget is spent, the time is up, or a stop is asked for.

    Args:
        storage: where the study is.
        study_name: which; ``None`` for the newest.
        name: what the worker is called in tables and notes.
        device: where to train, ``cpu`` or ``cuda``.
        device_label: the same as a person knows it, ``cuda:3``.
        threads: CPU threads to use.
        data_dir: where the datasets are.
        deadline: start no trial after this, by ``time.monotonic``; ``None`` for no limit.
        should_stop: asked before every batch.

    Raises:
        SweepsError: the data are missing or others than the study's, or too many trials failed in
            a row.
        StorageError: the study is missing.
    """
    torch.set_num_threads(threads)
    # Every batch has the same shape, so trying cuDNN's algorithms once pays.
    torch.backends.cudnn.benchmark = True
    study = open_study(storage, study_name)
    spec = read_spec(study)
    dataset = open_dataset(spec.data.name, data_dir, study.user_attrs[DATA_SIZE], download=False)
    if dataset.fingerprint != study.user_attrs[FINGERPRINT]:
        raise SweepsError(
            f"{study.study_name}: {dataset.name} in {data_dir} ({dataset.fingerprint}) is not what "
            f"this study was made with ({study.user_attrs[FINGERPRINT]})"
        )
    worker = register_worker(storage, study._study_id, name, device_label)
    # Another stream for every worker of the study: with the same they would pick the same values.
    study.sampler = make_sampler(spec, stream=worker.number)
    study.pruner = make_pruner(spec)
    desk = Desk(
        study=study,
        storage=storage,
        spec=spec,
        dataset=dataset,
        device=torch.device(device),
        environment=describe_environment(device),
        worker_id=worker.worker_id,
        worker_name=name,
        should_stop=should_stop,
    )
    try:
        with _heartbeat(storage, worker.worker_id):
            _run_trials(desk, deadline)
    finally:
        end_worker(storage, worker.worker_id)


def _run_trials(desk: Desk, deadline: float | None) -> None:
    study_id = desk.study._study_id
    failures = 0
    while not desk.should_stop() and (deadline is None or time.monotonic() < deadline):
        target = desk.study.user_attrs.get(TARGET)
        claim = claim_trial(desk.storage, study_id, desk.worker_id, target)
        if claim is None:
            return
        trial = desk.study.ask()
        attach_trial(desk.storage, claim, trial._trial_id)
        outcome = run_trial(desk, trial)
        note_progress(desk.storage, desk.worker_id, trial_number=None)
        if outcome == "interrupted":
            release_claim(desk.storage, claim)
            return
        if outcome == "lost":
            # Who took the trial has given its claim back.
            continue
        failures = failures + 1 if outcome == "failed" else 0
        if failures >= MAX_FAILURES_IN_A_ROW:
            reason = desk.study.get_trials(deepcopy=False)[trial.number].user_attrs[REASON]
            raise SweepsError(f"{failures} trials failed in a row; trial {trial.number}: {reason}")


@contextmanager
def _heartbeat(storage: HardenedStorage, worker_id: str) -> Iterator[None]:
    """Say every few seconds that the worker lives, also while an epoch is long."""
    finished = threading.Event()

    def say() -> None:
        while not finished.wait(HEARTBEAT_SECONDS):
            try:
                beat(storage, worker_id)
            except DATABASE_ERRORS:
                # The next beat may get through; a trial is not lost for one that did not.
                continue

    thread = threading.Thread(target=say, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
