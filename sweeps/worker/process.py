"""The process of ``sweeps worker``: its signals, its device, its study, then the worker's loop.

PyTorch is imported late, because it heeds what is set for the device before that.
"""

import ctypes
import io
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click
import optuna

from storage import (
    CONFIGURATION,
    TARGET,
    HardenedStorage,
    StorageError,
    living_workers,
    open_storage,
    open_study,
    study_uid,
)
from sweeps.data import Dataset, open_data
from sweeps.engines.devices import available_cores, take_device
from sweeps.errors import STOP_PATIENCE_SECONDS, Stopped, SweepsError
from sweeps.export.exported import describe_environment
from sweeps.spec.data import NO_IMAGES
from sweeps.spec.imports import import_objective
from sweeps.spec.spec import Spec
from sweeps.study.attributes import CONFIG, DATA_SIZE, ENVIRONMENT, FINGERPRINT
from sweeps.study.notes import trial_note
from sweeps.study.progress import count_finished
from sweeps.study.study import check_code, read_spec, trial_config
from sweeps.worker.checkpoints import Checkpoints, default_folder
from sweeps.worker.context import TrialContext
from sweeps.worker.loop import Worker

#: How long a worker that an engine started waits for a database that is unavailable.
_OPENING_SECONDS = 60.0
#: When a worker whose parent is gone ends, whatever it is doing.
_ORPHAN_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1
_TRAIN_NETWORK = "sweeps.worker.objective:train_network"
# A storage takes names of 64 letters, numbers included.
_MAX_HOST = 48


def run_worker_process(
    study_name: str | None,
    storage_url: str,
    *,
    device: str,
    threads: int | None,
    name: str | None,
    seat: str,
    data_dir: Path,
    checkpoint_dir: Path | None,
    checkpoint_seconds: float,
    deadline: float | None,
) -> None:
    """Work on a study until it is done, the time is up, or a signal asks for the end.

    Args:
        study_name: the study; ``None`` for the newest.
        storage_url: where the study is.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        threads: CPU threads; ``None`` for a fair share of the machine's.
        name: what tables and notes call the worker; ``None`` for ``HOST-pidPID``.
        seat: the worker's place in a run whose process supervises it; empty for a worker that a
            person started.
        data_dir: the folder of the datasets.
        checkpoint_dir: the folder of checkpoints; ``None`` for the storage's own.
        checkpoint_seconds: between two checkpoints of a trial.
        deadline: no trial starts after it, by ``time.monotonic``; ``None`` for no limit.

    Raises:
        SweepsError: the data are missing or not the study's, or too many trials failed in a row.
        Stopped: a signal asked for the end of a worker that a person started.
    """
    supervised = bool(seat)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What a loop of a person's own prints is seen when it is printed.
        sys.stdout.reconfigure(line_buffering=True)
    stop = threading.Event()
    received: list[int] = []
    storage: HardenedStorage | None = None

    def receive(number: int, _frame: FrameType | None) -> None:
        # Without a trial it ends at once, even while it waits for its database.
        if storage is None:
            raise Stopped(number)
        if received:
            if supervised:
                # A batch system and the run may both have asked; the run kills in the end.
                return
            raise Stopped(number)
        received.append(number)
        stop.set()
        # A process that was asked to stop does not wait long for a database.
        storage.hurry(STOP_PATIENCE_SECONDS)
        if not supervised:
            click.echo(
                "Stopping: the trial is checkpointed and queued again (a second Ctrl-C: at once)",
                err=True,
            )

    signal.signal(signal.SIGTERM, receive)
    if supervised:
        # Ctrl-C is for the parent, which then tells its workers.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        stop_with_parent(stop)
    else:
        for number in (signal.SIGINT, signal.SIGHUP):
            # An ignored signal stays ignored: `nohup` and a shell's background jobs ask for that.
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, receive)

    taken = take_device(device, threads or available_cores())
    # A worker that is restarted while its database restarts waits; a person gets an error at once.
    storage = open_storage(storage_url, patience=_OPENING_SECONDS if supervised else 0.0)
    try:
        study = open_study(storage, study_name)
        uid = study_uid(storage, study)
        threads = threads or _fair_share(storage, study)
        os.environ["OMP_NUM_THREADS"] = str(threads)
        spec = read_spec(study)
        check_code(study, spec)
        dataset = _open_images(study, spec, data_dir)
        study.pruner = spec.make_pruner()
        folder = checkpoint_dir or default_folder(storage.engine.url)
        function = import_objective(spec.objective or _TRAIN_NETWORK)
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(threads)
        environment = describe_environment(taken, threads).model_dump(mode="json")

        def objective(context: TrialContext) -> Any:
            config, baseline = context.config, context.trial.user_attrs.get(CONFIGURATION)
            context.describe(
                epochs=config.training.epochs,
                note=trial_note(config, None, baseline, context.worker_name),
                attributes={
                    CONFIG: config.model_dump(mode="json"),
                    ENVIRONMENT: environment,
                },
            )
            return function(context)

        Worker(
            storage=storage,
            study=study,
            study_uid=uid,
            objective=objective,
            configure=lambda trial: trial_config(spec, trial),
            make_sampler=spec.make_sampler,
            checkpoints=Checkpoints(folder, study, seconds=checkpoint_seconds),
            metrics=spec.metrics,
            # Workers that a shell starts at once do not see each other yet: no number would do.
            name=name or f"{short_host()}-pid{os.getpid()}",
            device=taken,
            device_label=taken if device == "auto" else device,
            seat=seat,
            deadline=deadline,
            should_stop=stop.is_set,
            dataset=dataset,
            data_dir=data_dir,
        ).run()
        if not (supervised or received):
            finished = count_finished(study.get_trials(deepcopy=False))
            target = study.user_attrs.get(TARGET)
            done = f"{finished} trials" if target is None else f"{finished} of {target} trials"
            click.echo(f"{study.study_name}: {done} done", err=True)
    except StorageError as error:
        if not received:
            raise
        click.echo(f"The trial is queued again by others: {error}", err=True)
    if supervised:
        # There is nothing left to tidy up, and to do it takes PyTorch a second.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    if received:
        raise Stopped(received[0])


def short_host() -> str:
    """Return this machine's name, without its domain and not at length."""
    return socket.gethostname().split(".")[0][:_MAX_HOST]


def stop_with_parent(stop: threading.Event) -> None:
    """Set an event when the parent is gone: its end of this process's standard input then closes.

    A process that has not ended ten seconds later is ended.
    """
    if sys.platform == "linux":
        # The kernel wakes this process when its parent ends, should it be suspended.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGCONT)

    def wait() -> NoReturn:
        sys.stdin.read()
        stop.set()
        time.sleep(_ORPHAN_SECONDS)
        os._exit(1)

    threading.Thread(target=wait, name="orphan", daemon=True).start()


def _fair_share(storage: HardenedStorage, study: optuna.Study) -> int:
    """Return the CPU threads for one of the study's workers on this machine, so all have some."""
    others = sum(worker.is_here() for worker in living_workers(storage, study._study_id))
    return max(1, available_cores() // (others + 1))


def _open_images(study: optuna.Study, spec: Spec, data_dir: Path) -> Dataset | None:
    """Open the images that a study was made with, if it has any.

    Raises:
        SweepsError: they are missing, or are others.
    """
    if spec.data.name == NO_IMAGES:
        return None
    dataset = open_data(spec.data, data_dir, study.user_attrs[DATA_SIZE], download=False)
    if dataset.fingerprint != study.user_attrs[FINGERPRINT]:
        raise SweepsError(
            f"{study.study_name}: {dataset.name} in {data_dir} ({dataset.fingerprint}) is "
            f"not what this study was made with ({study.user_attrs[FINGERPRINT]})"
        )
    return dataset
