"""A sweep from its spec to its end: images, study, workers, and a watch over them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from sqlalchemy.engine import URL

from storage import (
    DATABASE_ERRORS,
    HardenedStorage,
    StorageError,
    StudyDeleted,
    absolute_url,
    check_storage,
    explain,
    open_storage,
    parse_url,
    reclaim,
    study_names,
    study_uid,
)
from sweeps.data import Dataset, open_dataset, split_rows
from sweeps.engines import WorkerPlan, make_engine
from sweeps.engines.devices import Slot
from sweeps.errors import STOP_PATIENCE_SECONDS, DatasetUnavailable, Stopped, SweepsError
from sweeps.reporting import View
from sweeps.runner.naming import short_host, take_numbers
from sweeps.runner.shutdown import Stopping
from sweeps.runner.supervisor import Supervisor
from sweeps.spec.checks import check_run
from sweeps.spec.spec import Spec, check_study_name, is_study_name, probe_values
from sweeps.study.failures import refuse_deleted
from sweeps.study.progress import Progress, read_progress
from sweeps.study.study import open_or_create_study, study_name
from sweeps.worker.checkpoints import DEFAULT_SECONDS, Checkpoints, check_folder, default_folder


@dataclass(frozen=True)
class Sweep:
    """A study that is ready to be worked on."""

    spec: Spec
    dataset: Dataset
    storage: HardenedStorage
    storage_url: str
    study: optuna.Study
    study_uid: str
    data_dir: Path
    checkpoint_dir: Path
    checkpoint_seconds: float


def prepare_sweep(
    spec: Spec,
    *,
    storage_url: str,
    name: str | None,
    data_dir: Path,
    checkpoint_dir: Path | None = None,
    checkpoint_seconds: float = DEFAULT_SECONDS,
    say: Callable[[str], None],
) -> Sweep:
    """Check everything, get the images, and make the study or find it.

    Args:
        spec: the sweep.
        storage_url: where results go.
        name: of the study; ``None`` for the spec's own.
        data_dir: where datasets are kept.
        checkpoint_dir: where unfinished trials are kept; ``None`` for a folder beside the storage.
        checkpoint_seconds: between two checkpoints of a trial.
        say: told what a person should know.

    Raises:
        SweepsError, StorageError: something does not fit; nothing was started.
    """
    url = parse_url(storage_url)
    check_storage(url)
    wanted = name if name is not None else study_name(spec)
    if not is_study_name(wanted) and not holds_study(url, wanted):
        check_study_name(wanted, "--study" if name is not None else "name")
    if checkpoint_dir is not None:
        check_folder(checkpoint_dir)
    trials, first = spec.budget.trials, len(spec.baselines)
    if trials is not None and trials < first:
        say(f"The budget has room for {trials} of the {first} baselines")
    spec, dataset = _open_images(spec, data_dir, say)
    check_runs(spec, dataset)
    storage = open_storage(url, create=True)
    study = open_or_create_study(storage, spec, name or study_name(spec), dataset)
    uid = study_uid(storage, study)
    reclaimed = reclaim(storage, study, uid)
    if reclaimed:
        say(f"Queued again what an earlier run left unfinished: trials {_listed(reclaimed)}")
    return Sweep(
        spec,
        dataset,
        storage,
        absolute_url(url).render_as_string(hide_password=False),
        study,
        uid,
        data_dir,
        checkpoint_dir or default_folder(url),
        checkpoint_seconds,
    )


def run_workers(
    sweep: Sweep,
    slots: list[Slot],
    view: View,
    *,
    engine: str = "local",
    **settings: Any,
) -> Progress:
    """Let workers run until the study's budget is spent or the time is up.

    Args:
        sweep: what to work on.
        slots: a worker each.
        view: shows it, and is told how it ends.
        engine: which runs the workers; see :func:`sweeps.engines.make_engine`.
        settings: the engine's.

    Returns:
        Where the study stands then.

    Raises:
        Stopped: a signal asked for it; the running trials were put away and queued again.
        SweepsError: all workers ended before the study did, or trial after trial failed.
    """
    minutes = sweep.spec.budget.minutes
    deadline = time.monotonic() + minutes * 60 if minutes is not None else None
    prefix = short_host() if engine == "local" else engine
    plan = WorkerPlan(
        study_name=sweep.study.study_name,
        storage_url=sweep.storage_url,
        data_dir=sweep.data_dir,
        checkpoint_dir=sweep.checkpoint_dir,
        checkpoint_seconds=sweep.checkpoint_seconds,
        ends_at=time.time() + minutes * 60 if minutes is not None else None,
        prefix=prefix,
        first_number=take_numbers(sweep.storage, sweep.study, prefix, len(slots)),
    )
    with Stopping(sweep.storage) as stopping, view:
        received = stopping.received
        workers = stopping.over(make_engine(engine, plan, slots, view.say, **settings))
        supervisor = Supervisor(
            sweep.storage,
            sweep.study,
            sweep.study_uid,
            workers,
            plan.seat,
            view,
            seconds_left=lambda: _left(deadline),
            received=received,
        )
        try:
            supervisor.watch()
        except StorageError:
            # It was waited for once.
            sweep.storage.hurry(STOP_PATIENCE_SECONDS)
            if not received:
                raise
        finally:
            workers.kill()
            progress = _leave_in_order(sweep, view, stopped=bool(received))
        if received:
            raise Stopped(received[0], "run it again to go on")
        if progress is None:
            raise StorageError(f"{sweep.storage.location}: away at the sweep's end; run it again")
    return progress


def _leave_in_order(sweep: Sweep, view: View, *, stopped: bool) -> Progress | None:
    """Queue again what ended without a result, and remove what nobody needs, if that can be done.

    Args:
        sweep: what was worked on.
        view: told of it.
        stopped: whether the workers that left something were killed on purpose.

    Returns:
        Where the study stands; ``None`` where the storage is away.

    Raises:
        SweepsError: the study was deleted.
    """
    try:
        reclaim(sweep.storage, sweep.study, sweep.study_uid, stopped=stopped)
        trials = sweep.study.get_trials(deepcopy=False)
        Checkpoints(sweep.checkpoint_dir, sweep.study, say=view.say).tidy(trials)
        progress = read_progress(sweep.storage, sweep.study)
    except (KeyError, StudyDeleted):
        refuse_deleted(sweep.study, sweep.study_uid)
        raise
    except (StorageError, *DATABASE_ERRORS) as error:
        view.say(
            f"What ran is queued again by the next run: {explain(error, 'the storage') or error}"
        )
        return None
    view.update(progress, None)
    return progress


def holds_study(url: URL, name: str) -> bool:
    """Whether there is a study of that name, be it one that a new study cannot have."""
    try:
        storage = open_storage(url)
    except StorageError:
        return False
    try:
        return name in study_names(storage)
    finally:
        storage.engine.dispose()


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(deadline - time.monotonic(), 0.0)


def _open_images(spec: Spec, data_dir: Path, say: Callable[[str], None]) -> tuple[Spec, Dataset]:
    """The spec's dataset, or its fallback where that is neither on disk nor to be downloaded."""
    name, size = spec.data.name, spec.data.size
    try:
        return spec, open_dataset(name, data_dir, size)
    except DatasetUnavailable as error:
        if spec.fallback is None:
            raise
        say(f"{error}")
        say(
            f"FALLING BACK to the dataset {spec.fallback!r} in place of {name!r}: what this sweep "
            f"finds says nothing about {name!r}"
        )
    spec = spec.model_copy(update={"data": spec.data.model_copy(update={"name": spec.fallback})})
    return spec, open_dataset(spec.data.name, data_dir, size)


def check_runs(spec: Spec, dataset: Dataset) -> None:
    """Look at the runs at the borders of the search, so that no trial fails for its images."""
    base = spec.base_config()
    train_rows, _ = split_rows(base, dataset)
    for where, values in probe_values(spec):
        try:
            check_run(base.with_values(values), dataset.size, len(train_rows))
        except SweepsError as error:
            raise SweepsError(f"{spec.name}: {where}: {error}") from None


def _listed(numbers: list[int]) -> str:
    return ", ".join(str(number) for number in numbers)
