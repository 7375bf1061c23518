"""A sweep from its spec to its end: data, study, workers, and their supervision."""

import logging
import re
import signal
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import optuna

from storage import (
    DATABASE_ERRORS,
    DEFAULT_URL,
    StorageError,
    StudyDeleted,
    WorkerRecord,
    explain,
    parse_url,
    reclaim,
    show_url,
)
from sweeps.engines import WorkerPlan, find_slots, make_engine
from sweeps.engines.devices import Slot
from sweeps.errors import STOP_PATIENCE_SECONDS, Stopped
from sweeps.reporting import Reporter, reporting
from sweeps.runner.prepare import Sweep, prepare_sweep
from sweeps.runner.shutdown import Shutdown
from sweeps.runner.supervisor import Supervisor
from sweeps.spec.spec import Spec
from sweeps.study.frames import SweepStudy
from sweeps.study.progress import Progress, read_progress
from sweeps.study.study import refuse_deleted
from sweeps.worker.checkpoints import DEFAULT_SECONDS, Checkpoints
from sweeps.worker.process import short_host

_logger = logging.getLogger(__name__)


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
        reporter = stack.enter_context(reported(reporter, study))
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
            _run_workers(sweep, slots, reporter, progress, engine, settings)
        return SweepStudy(name, sweep.storage)


@contextmanager
def reported(reporter: Reporter | None, study: str | None) -> Iterator[Reporter]:
    """Report to a reporter; where there is none, as scripts and notebooks expect it."""
    with ExitStack() as stack:
        if reporter is None:
            stack.enter_context(_interrupted_by_ctrl_c())
            stack.enter_context(_optuna_quiet())
            reporter = stack.enter_context(reporting(study))
        yield reporter


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


def _run_workers(
    sweep: Sweep,
    slots: list[Slot],
    reporter: Reporter,
    before: Progress,
    engine: str,
    settings: Mapping[str, Any],
) -> None:
    """Run workers until the study's budget is spent or the time is up.

    Args:
        sweep: what to work on.
        slots: one per worker.
        reporter: reports the run.
        before: where the study stands.
        engine, settings: what runs the workers; see :func:`sweeps.engines.make_engine`.

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
        first_number=next_number(before.workers, prefix),
        preload="sweeps.worker.preload" if _needs_torch(sweep.spec) else "sweeps.worker.process",
    )
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
            deadline=deadline,
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
            is_clean = _clean_up(sweep, reporter, stopped=bool(received))
        if received:
            raise Stopped(received[0], "run it again to resume")
        if not is_clean:
            raise StorageError(f"{sweep.storage.location}: unavailable at the end; run it again")


def _needs_torch(spec: Spec) -> bool:
    """Whether the workers train with the project's loops: one of your own may need no torch."""
    return spec.objective is None or spec.objective.startswith("sweeps.")


def _clean_up(sweep: Sweep, reporter: Reporter, *, stopped: bool) -> bool:
    """Queue again what ended without a result, and remove checkpoints that nobody needs.

    Args:
        sweep: what was worked on.
        reporter: reports where the study stands.
        stopped: whether workers were killed on purpose.

    Returns:
        Whether it could: the storage may be unavailable.

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
        return False
    reporter.update(progress, None)
    return True


def next_number(living: Iterable[WorkerRecord], prefix: str) -> int:
    """Return the number after those of the living workers that are named ``PREFIX-NUMBER``."""
    pattern = re.compile(re.escape(prefix) + r"-(\d+)")
    found = (pattern.fullmatch(worker.name) for worker in living)
    return max((int(match[1]) for match in found if match), default=-1) + 1
