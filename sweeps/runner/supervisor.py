"""The supervisor of a run's workers: it restarts those that die and ends the run."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import optuna

from storage import WORKER_ID, HardenedStorage, StorageError, StudyDeleted, reclaim
from sweeps.engines import Engine, WorkerExit
from sweeps.errors import SweepsError
from sweeps.reporting import Reporter
from sweeps.runner.shutdown import STOP_SECONDS
from sweeps.study.progress import Progress, ended_numbers, read_progress, refuse_failures_in_a_row
from sweeps.study.study import refuse_deleted

_POLL_SECONDS = 0.5
#: Once the study is done.
_END_POLL_SECONDS = 0.1
_RECLAIM_SECONDS = 5.0

#: How long workers have to end by themselves once the study is done: one may be suspended.
_LINGER_SECONDS = 30.0

#: A worker that lived so long, or ended a trial, is able to start.
_HEALTHY_SECONDS = 60.0
_MAX_PAUSE_SECONDS = 60.0
#: A worker is given up after so many restarts in vain, or so many that ended with an error.
_MAX_IN_VAIN = 8
_MAX_ERROR_EXITS = 3

_logger = logging.getLogger(__name__)


@dataclass
class _Restarts:
    """One worker's restarts.

    Attributes:
        started: when it was started last, in seconds since 1970.
        in_vain: how many times in a row it ended without having done anything.
        error_exits: how many of these it ended by itself, with an error.
        due: when it is started again, by ``time.monotonic``; ``None`` for not.
    """

    started: float
    in_vain: int = 0
    error_exits: int = 0
    due: float | None = None


class Supervisor:
    """Watches the workers of a run until the last has ended.

    Args:
        storage: where the study is.
        study: the study.
        study_uid: the study's own id.
        engine: runs the workers.
        seat: maps a worker's name to how the ids of its processes begin.
        reporter: reports where the study stands.
        deadline: no trial starts after it, by ``time.monotonic``; ``None`` for no limit.
        received: the signals that asked for an end, in the order of their arrival.
    """

    def __init__(
        self,
        storage: HardenedStorage,
        study: optuna.Study,
        study_uid: str,
        engine: Engine,
        seat: Callable[[str], str],
        reporter: Reporter,
        *,
        deadline: float | None,
        received: list[int],
    ) -> None:
        self._storage = storage
        self._study = study
        self._study_uid = study_uid
        self._engine = engine
        self._seat = seat
        self._reporter = reporter
        self._deadline = deadline
        self._received = received
        self._started = time.time()
        self._ended_before: set[int] = set()
        self._stopped_at: float | None = None
        self._done_at: float | None = None
        self._last_reclaim = time.monotonic()
        self._restarts: dict[str, _Restarts] = {}
        self._last_exit: WorkerExit | None = None

    def watch(self) -> None:
        """Start the workers and watch them until they have ended.

        Raises:
            SweepsError: the workers ended before the study did, or trial after trial fails.
        """
        self._ended_before = ended_numbers(self._study.get_trials(deepcopy=False))
        self._engine.start()
        while self._engine.running or self._is_restart_due():
            time.sleep(_POLL_SECONDS if self._done_at is None else _END_POLL_SECONDS)
            # First of all, because what follows needs the database, which may be unavailable.
            if self._received and self._is_stop_over():
                return
            try:
                if self._step():
                    return
            except (KeyError, StudyDeleted):
                refuse_deleted(self._study, self._study_uid)
                raise
            except StorageError:
                if not self._received:
                    raise
            except SweepsError:
                self._let_workers_checkpoint()
                raise
        if self._last_exit is not None and not self._received:
            self._refuse_early_end(self._last_exit)

    def _is_stop_over(self) -> bool:
        """Ask the workers to stop, once, and return whether they have had their time."""
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()
            self._engine.stop()
            _logger.info(
                "Stopping: the running trials are checkpointed and queued again (a second Ctrl-C: "
                "at once)"
            )
        return len(self._received) > 1 or time.monotonic() - self._stopped_at > STOP_SECONDS

    def _let_workers_checkpoint(self) -> None:
        """Ask the workers to stop, and wait for them as long as after a signal."""
        self._engine.stop()
        deadline = time.monotonic() + STOP_SECONDS
        while self._engine.running and not self._received and time.monotonic() < deadline:
            time.sleep(_END_POLL_SECONDS)
            self._engine.poll()

    def _step(self) -> bool:
        """Look at the workers and the study, act on it, and return whether the run is over."""
        exits = self._engine.poll()
        now = time.monotonic()
        if exits or now - self._last_reclaim > _RECLAIM_SECONDS:
            reclaim(self._storage, self._study, self._study_uid)
            self._last_reclaim = now
        progress = read_progress(self._storage, self._study)
        if progress.study_uid != self._study_uid:
            refuse_deleted(self._study, self._study_uid)
        for worker in exits:
            self._plan_restart(worker, progress)
        self._reporter.update(progress, self._seconds_left())
        if self._received:
            return False
        if progress.outcomes["failed"]:
            refuse_failures_in_a_row(progress.trials, but_for=self._ended_before)
        self._restart_due(progress)
        self._done_at = (self._done_at or now) if progress.is_done else None
        lingers = self._done_at is not None and now - self._done_at > _LINGER_SECONDS
        if lingers and self._engine.running:
            _logger.info("The study is done; a worker that has not ended is killed")
        return lingers

    def _seconds_left(self) -> float | None:
        """Return the time until no trial is started any more; ``None`` for no limit."""
        return None if self._deadline is None else max(self._deadline - time.monotonic(), 0.0)

    def _plan_restart(self, worker: WorkerExit, progress: Progress) -> None:
        """Decide whether and when a worker that ended starts again."""
        if self._received or progress.is_done or self._seconds_left() == 0:
            return
        self._last_exit = worker
        how = _describe_exit(worker)
        if self._engine.restarts_workers:
            _logger.info("%s %s", worker.name, how)
            return
        record = self._restarts.setdefault(worker.name, _Restarts(self._started))
        worked = time.time() - record.started > _HEALTHY_SECONDS or any(
            trial.user_attrs.get(WORKER_ID, "").startswith(self._seat(worker.name))
            and trial.datetime_complete is not None
            and trial.datetime_complete.timestamp() > record.started
            for trial in progress.trials
        )
        if worked or self._was_storage_unavailable_since(record.started):
            record.in_vain = record.error_exits = 0
        else:
            record.in_vain += 1
            record.error_exits += worker.status > 0
        if record.error_exits >= _MAX_ERROR_EXITS or record.in_vain >= _MAX_IN_VAIN:
            _logger.info("%s %s; not started again, it ends each time", worker.name, how)
            return
        pause = min(2.0 ** (record.in_vain - 2), _MAX_PAUSE_SECONDS) if record.in_vain > 1 else 0.0
        record.due = time.monotonic() + pause
        when = f" in {pause:.0f} s" if pause else ""
        _logger.info("%s %s; started again%s", worker.name, how, when)

    def _was_storage_unavailable_since(self, moment: float) -> bool:
        last = self._storage.last_disconnect
        return last is not None and time.time() - (time.monotonic() - last) > moment

    def _is_restart_due(self) -> bool:
        """Return whether a worker is yet to be started again."""
        return not self._received and any(r.due is not None for r in self._restarts.values())

    def _restart_due(self, progress: Progress) -> None:
        for name, record in self._restarts.items():
            if progress.is_done or self._seconds_left() == 0:
                record.due = None
            elif record.due is not None and time.monotonic() >= record.due:
                record.due, record.started = None, time.time()
                self._engine.restart(name)

    def _refuse_early_end(self, worker: WorkerExit) -> None:
        progress = read_progress(self._storage, self._study)
        time_is_up = self._seconds_left() == 0 and progress.best is not None
        if progress.is_done or time_is_up:
            return
        raise SweepsError(
            "all workers ended before the study did; run it again to resume. The last: "
            + (worker.last_line or f"{worker.name} {_describe_exit(worker)}")
        )


def _describe_exit(worker: WorkerExit) -> str:
    if worker.status < 0:
        return f"was killed by signal {-worker.status}"
    return f"ended with status {worker.status}" if worker.status else "ended"
