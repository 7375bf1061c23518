"""Working on a study: its images, its settings, and the worker's loop."""

from collections.abc import Callable
from pathlib import Path

import optuna
import torch

from storage import HardenedStorage, study_uid
from sweeps.data import open_dataset
from sweeps.errors import SweepsError
from sweeps.export.environment import describe_environment
from sweeps.study.attributes import DATA_SIZE, FINGERPRINT
from sweeps.study.samplers import make_pruner, make_sampler
from sweeps.study.study import read_spec
from sweeps.worker.checkpoints import Checkpoints, default_folder
from sweeps.worker.loop import run_worker
from sweeps.worker.objective import TrainingObjective


def work(
    storage: HardenedStorage,
    study: optuna.Study,
    *,
    name: str,
    seat: str,
    device: str,
    device_label: str,
    threads: int,
    data_dir: Path,
    checkpoint_dir: Path | None,
    checkpoint_seconds: float,
    deadline: float | None,
    should_stop: Callable[[], bool],
    say: Callable[[str], None],
) -> None:
    """Train a study's trials until its budget is spent, the time is up, or a stop is asked for.

    Args:
        storage: where the study is.
        study: the study.
        name: what the worker is called in tables and notes.
        seat: its place in a run; empty for a worker that was started by hand.
        device: where to train, ``cpu`` or ``cuda``.
        device_label: the same as a person knows it, ``cuda:3``.
        threads: CPU threads to use.
        data_dir: where the datasets are.
        checkpoint_dir: where unfinished trials are kept; ``None`` for the storage's own.
        checkpoint_seconds: between two checkpoints of a trial.
        deadline: start no trial after this, by ``time.monotonic``; ``None`` for no limit.
        should_stop: asked before every batch.
        say: told what a person should know.

    Raises:
        SweepsError: the data are missing or others than the study's, or too many trials failed in
            a row.
    """
    torch.set_num_threads(threads)
    # Every batch has the same shape, so trying cuDNN's algorithms once pays.
    torch.backends.cudnn.benchmark = True
    uid = study_uid(storage, study)
    spec = read_spec(study)
    dataset = open_dataset(spec.data.name, data_dir, study.user_attrs[DATA_SIZE], download=False)
    if dataset.fingerprint != study.user_attrs[FINGERPRINT]:
        raise SweepsError(
            f"{study.study_name}: {dataset.name} in {data_dir} ({dataset.fingerprint}) is not what "
            f"this study was made with ({study.user_attrs[FINGERPRINT]})"
        )
    study.pruner = make_pruner(spec)
    folder = checkpoint_dir or default_folder(storage.engine.url)
    objective = TrainingObjective(
        spec,
        dataset,
        torch.device(device),
        describe_environment(device),
        Checkpoints(folder, study, seconds=checkpoint_seconds, say=say),
    )
    run_worker(
        storage,
        study,
        objective,
        study_uid=uid,
        name=name,
        seat=seat,
        device=device_label,
        make_sampler=lambda stream: make_sampler(spec, stream),
        deadline=deadline,
        should_stop=should_stop,
    )
