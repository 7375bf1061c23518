"""A sweep from its spec to its end: data, study, workers, and their supervision."""

import logging
import re
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import optuna
from sqlalchemy.engine import URL

from storage import (
    DATABASE_ERRORS,
    DEFAULT_URL,
    HardenedStorage,
    StorageError,
    StudyDeleted,
    WorkerRecord,
    absolute_url,
    batch,
    check_storage,
    explain,
    living_workers,
    open_storage,
    open_study,
    parse_url,
    reclaim,
    show_url,
    study_names,
    study_uid,
)
from sweeps.data import Dataset, open_data, split_rows
from sweeps.engines import WorkerPlan, find_slots, make_engine
from sweeps.engines.devices import Slot
from sweeps.errors import STOP_PATIENCE_SECONDS, DatasetUnavailable, Stopped, SweepsError
from sweeps.reporting import Reporter, reporting
from sweeps.runner.networks import check_networks
from sweeps.runner.shutdown import Shutdown
from sweeps.runner.supervisor import Supervisor
from sweeps.spec.checks import probe_values
from sweeps.spec.config import check_run
from sweeps.spec.data import NO_IMAGES
from sweeps.spec.imports import import_objective
from sweeps.spec.spec import Spec, check_study_name, is_study_name
from sweeps.spec.training import ImportedOptimizer
from sweeps.study.frames import SweepStudy
from sweeps.study.progress import Progress, read_progress
from sweeps.study.study import check_code, open_or_create_study, refuse_deleted, study_name
from sweeps.worker.checkpoints import DEFAULT_SECONDS, Checkpoints, check_folder, default_folder
from sweeps.worker.process import short_host

#: User attribute of a study: by prefix, the next free number of a worker, and when it was written.
_NUMBERS = "worker_numbers"
#: By then the workers of a run that took its numbers are alive, or never will be.
_STARTING_SECONDS = 90.0

_logger = logging.getLogger(__name__)

S = TypeVar("S", bound=Spec)


@dataclass(frozen=True)
class Sweep:
    """A study that is ready to be worked on."""

    spec: Spec
    dataset: Dataset | None
    storage: HardenedStorage
    storage_url: str
    study: optuna.Study
    study_uid: str
    data_dir: Path
    checkpoint_dir: Path
    checkpoint_seconds: float


def run_sweep(
    spec: Spec,
    *,
    storage: str = DEFAULT_URL,
    study: str | None = None,
    workers: int | None = None,
    workers_per_gpu: int = 1,
    devices: str = "auto",
    engine: str = "local",
    engine_settings: Mapping[str, Any] | None = None,
    data_dir: Path | str = "data",
    checkpoint_dir: Path | str | None = None,
    checkpoint_seconds: float = DEFAULT_SECONDS,
    reporter: Reporter | None = None,
) -> SweepStudy:
    """Run a sweep, or resume it, until its study has its trials or the time is up.

    Args:
        spec: the sweep, from :func:`sweeps.load_spec` or :func:`sweeps.parse_spec`.
        storage: where results go: a database URL, or the path of a SQLite file.
        study: its name; ``None`` for the spec's and the dataset's.
        workers: how many in all; ``None`` for one on each GPU, or each core up to four.
        workers_per_gpu: how many on each GPU, where ``workers`` does not say.
        devices: ``auto``, ``cpu``, ``cuda``, or ``cuda:0,1``.
        engine: where workers run: ``local``, ``ray`` or ``slurm``.
        engine_settings: the engine's own; see :func:`sweeps.engines.make_engine`.
        data_dir: the folder of the datasets.
        checkpoint_dir: the folder of checkpoints; ``None`` for one beside the storage.
        checkpoint_seconds: between two checkpoints of a trial.
        reporter: shows what happens; ``None`` for a live table, or lines where there is no
            terminal or notebook.

    Returns:
        The study.

    Raises:
        SweepsError, storage.StorageError: something does not fit, and nothing was started; or all
            workers ended before the study did, or trial after trial failed.
        KeyboardInterrupt, Stopped: Ctrl-C or another signal asked for the end. The running trials
            were checkpointed and queued again; the same call resumes them.
    """
    settings = dict(engine_settings or {})
    with ExitStack() as stack:
        if reporter is None:
            stack.enter_context(_interrupted_by_ctrl_c())
            stack.enter_context(_optuna_quiet())
            reporter = stack.enter_context(reporting(study))
        slots = find_slots(
            engine, devices, workers, workers_per_gpu, storage_url=storage, **settings
        )
        sweep = prepare_sweep(
            spec,
            storage_url=storage,
            name=study,
            data_dir=Path(data_dir).absolute(),
            checkpoint_dir=None if checkpoint_dir is None else Path(checkpoint_dir).absolute(),
            checkpoint_seconds=checkpoint_seconds,
        )
        name = sweep.study.study_name
        progress = read_progress(sweep.storage, sweep.study)
        if progress.is_done:
            have = "1 trial" if progress.finished == 1 else f"{progress.finished} trials"
            reporter.say(f"{name} has all of its {have}; for more: --trials N")
            reporter.nothing_to_do(progress)
        else:
            where = show_url(parse_url(storage))
            reporter.say(f"{_headline(sweep, progress, slots)}, results in {where}")
            run_workers(sweep, slots, reporter, engine=engine, **settings)
        return SweepStudy(name, sweep.storage)


@contextmanager
def _interrupted_by_ctrl_c() -> Iterator[None]:
    """Raise KeyboardInterrupt after Ctrl-C, as scripts and notebooks expect it."""
    try:
        yield
    except Stopped as stopped:
        if stopped.signal == signal.SIGINT:
            raise KeyboardInterrupt from None
        raise


@contextmanager
def _optuna_quiet() -> Iterator[None]:
    """Let Optuna warn, and not repeat what the reports say."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(verbosity, optuna.logging.WARNING))
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def _headline(sweep: Sweep, progress: Progress, slots: Sequence[Slot]) -> str:
    data, target = sweep.dataset, progress.target or "any number of"
    workers = f"{len(slots)} {'worker' if len(slots) == 1 else 'workers'}"
    devices = ", ".join(dict.fromkeys(slot.device for slot in slots))
    on = f"on {data.name} ({data.size} x {data.size} pixels), " if data else ""
    done = f"{progress.study_name}: {progress.finished} of {target} trials done"
    return f"{done}, {on}{workers} on {devices}"


def prepare_sweep(
    spec: Spec,
    *,
    storage_url: str,
    name: str | None,
    data_dir: Path,
    checkpoint_dir: Path | None = None,
    checkpoint_seconds: float = DEFAULT_SECONDS,
) -> Sweep:
    """Check everything, open the data, and create or open the study.

    Args:
        spec: the sweep.
        storage_url: where results go.
        name: of the study; ``None`` for the spec's own.
        data_dir: the folder of the datasets.
        checkpoint_dir: the folder of checkpoints; ``None`` for one beside the storage.
        checkpoint_seconds: between two checkpoints of a trial.

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
        _logger.info("The budget has room for %d of the %d baselines", trials, first)
    if spec.data.import_ is not None and holds_study(url, wanted):
        # Images are decoded for a study that takes them.
        _check_code(url, wanted, spec)
    spec, dataset = open_images(
        spec, data_dir, resumes=lambda other: holds_study(url, name or study_name(other))
    )
    check_runs(spec, dataset)
    storage = open_storage(url, create=True)
    study = open_or_create_study(storage, spec, name or study_name(spec), dataset)
    uid = study_uid(storage, study)
    reclaimed = reclaim(storage, study, uid)
    if reclaimed:
        numbers = ", ".join(str(number) for number in reclaimed)
        _logger.info("Queued again what an earlier run left unfinished: trials %s", numbers)
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
    reporter: Reporter,
    *,
    engine: str = "local",
    **settings: Any,
) -> Progress:
    """Run workers until the study's budget is spent or the time is up.

    Args:
        sweep: what to work on.
        slots: one per worker.
        reporter: reports the run.
        engine: runs the workers; see :func:`sweeps.engines.make_engine`.
        settings: the engine's.

    Returns:
        The study's progress at the end.

    Raises:
        Stopped: a signal asked for the end; the running trials were checkpointed and queued again.
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
        **({} if _needs_torch(sweep.spec) else {"preload": "sweeps.worker.process"}),
    )
    before = read_progress(sweep.storage, sweep.study)
    with Shutdown(sweep.storage) as shutdown, reporter.running(before):
        received = shutdown.received
        workers = shutdown.guard(make_engine(engine, plan, slots, **settings))
        supervisor = Supervisor(
            sweep.storage,
            sweep.study,
            sweep.study_uid,
            workers,
            plan.seat,
            reporter,
            seconds_left=lambda: None if deadline is None else max(deadline - time.monotonic(), 0),
            received=received,
        )
        try:
            supervisor.watch()
        except StorageError:
            # The database had its time; what follows waits no longer.
            sweep.storage.hurry(STOP_PATIENCE_SECONDS)
            if not received:
                raise
        finally:
            workers.kill()
            progress = _clean_up(sweep, reporter, stopped=bool(received))
        if received:
            raise Stopped(received[0], "run it again to resume")
        if progress is None:
            raise StorageError(f"{sweep.storage.location}: unavailable at the end; run it again")
    return progress


def _needs_torch(spec: Spec) -> bool:
    """Whether the workers train with the project's loops: one of your own may need no torch."""
    return spec.objective is None or spec.objective.startswith("sweeps.")


def _clean_up(sweep: Sweep, reporter: Reporter, *, stopped: bool) -> Progress | None:
    """Queue again what ended without a result, and remove checkpoints that nobody needs.

    Args:
        sweep: what was worked on.
        reporter: reports where the study stands.
        stopped: whether workers were killed on purpose.

    Returns:
        The study's progress; ``None`` where the storage is unavailable.

    Raises:
        SweepsError: the study was deleted.
    """
    try:
        reclaim(sweep.storage, sweep.study, sweep.study_uid, stopped=stopped)
        trials = sweep.study.get_trials(deepcopy=False)
        Checkpoints(sweep.checkpoint_dir, sweep.study).tidy(trials)
        progress = read_progress(sweep.storage, sweep.study)
    except (KeyError, StudyDeleted):
        refuse_deleted(sweep.study, sweep.study_uid)
        raise
    except (StorageError, *DATABASE_ERRORS) as error:
        reason = explain(error, "the storage") or error
        _logger.info("The next run queues again what was running: %s", reason)
        return None
    reporter.update(progress, None)
    return progress


def take_numbers(storage: HardenedStorage, study: optuna.Study, prefix: str, count: int) -> int:
    """Take numbers for the workers of a run, in one transaction: no other run takes them too.

    Returns:
        The first of ``count`` numbers.
    """
    first = 0

    def take() -> None:
        nonlocal first
        first = next_number(living_workers(storage, study._study_id), prefix)
        taken = study.user_attrs.get(_NUMBERS, {})
        free, written = taken.get(prefix, (0, 0.0))
        if time.time() - written < _STARTING_SECONDS:
            first = max(first, free)
        study.set_user_attr(_NUMBERS, {**taken, prefix: (first + count, time.time())})

    batch(storage, study._study_id, take)
    return first


def next_number(living: Iterable[WorkerRecord], prefix: str) -> int:
    """Return the number after those of the living workers that are named ``PREFIX-NUMBER``."""
    pattern = re.compile(re.escape(prefix) + r"-(\d+)")
    found = (pattern.fullmatch(worker.name) for worker in living)
    return max((int(match[1]) for match in found if match), default=-1) + 1


def holds_study(url: URL, name: str) -> bool:
    """Return whether there is a study of that name, even one that a new study cannot have."""
    try:
        storage = open_storage(url)
    except StorageError:
        return False
    try:
        return name in study_names(storage)
    finally:
        storage.engine.dispose()


def _check_code(url: URL, name: str, spec: Spec) -> None:
    storage = open_storage(url)
    try:
        check_code(open_study(storage, name), spec)
    finally:
        storage.engine.dispose()


def open_images(
    spec: S, data_dir: Path, resumes: Callable[[S], bool] = lambda _: False
) -> tuple[S, Dataset | None]:
    """Open the spec's dataset, if it has one, or its fallback where the dataset is unavailable.

    Args:
        spec: the sweep.
        data_dir: the folder of the datasets.
        resumes: whether there is a study of a spec already; the fallback is then no news.

    Returns:
        The spec, which then names the fallback, and the dataset.

    Raises:
        DatasetUnavailable: there is neither.
        SweepsError: the images do not fit.
    """
    if spec.data.name == NO_IMAGES:
        return spec, None
    try:
        return spec, open_data(spec.data, data_dir)
    except DatasetUnavailable as error:
        if spec.fallback is None:
            raise
        reason = error
    data = spec.data.model_copy(update={"name": spec.fallback, "options": {}})
    other = spec.model_copy(update={"data": data})
    if resumes(other):
        _logger.info("%s is still unavailable; the study is on %s", spec.data.name, data.name)
    else:
        _logger.warning("%s", reason)
        _logger.warning(
            "FALLING BACK to the dataset %r in place of %r: what this sweep finds says nothing "
            "about %r",
            data.name,
            spec.data.name,
            spec.data.name,
        )
    return other, open_data(data, data_dir)


def check_runs(spec: Spec, dataset: Dataset | None) -> None:
    """Check what a trial of a spec needs, so that none fails for a reason that is known before.

    That is what the spec imports, and the corners of the search space with its images.
    """
    spec.check_sampling()
    if spec.objective is not None:
        import_objective(spec.objective)
        return
    assert dataset is not None
    if isinstance(spec.training.optimizer, ImportedOptimizer):
        # Torch is imported only where the spec names code of a person's own.
        from sweeps.training import check_optimizer

        check_optimizer(spec.training)
    if "val_top5" in spec.metrics and len(dataset.classes) <= 5:
        raise SweepsError(
            f"{spec.name}: val_top5 needs more than 5 classes; {dataset.name} has "
            f"{len(dataset.classes)}"
        )
    base = spec.base_config()
    train_rows, _ = split_rows(base, dataset)
    for where, values in probe_values(spec):
        try:
            check_run(base.with_values(values), dataset.size, len(train_rows))
        except SweepsError as error:
            raise SweepsError(f"{spec.name}: {where}: {error}") from None
    check_networks(spec, dataset)
