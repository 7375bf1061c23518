"""The watch over a run's workers: who died is started again, and the run ends when it should."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import optuna

from storage import WORKER_ID, HardenedStorage, StorageError, StudyDeleted, reclaim
from sweeps.engines import Engine, WorkerExit
from sweeps.errors import SweepsError
from sweeps.reporting import View
from sweeps.runner.shutdown import STOP_SECONDS
from sweeps.study.failures import ended_numbers, refuse_deleted, refuse_failures_in_a_row
from sweeps.study.progress import Progress, read_progress

_POLL_SECONDS = 0.5
_RECLAIM_SECONDS = 5.0

#: How long workers have to end by themselves once the study is done: one may be suspended.
_LINGER_SECONDS = 30.0

#: A worker that lived so long, or ended a trial, is none that cannot start.
_HEALTHY_SECONDS = 60.0
_MAX_PAUSE_SECONDS = 60.0
#: Given up after so many restarts in vain: those that were killed, and those that said why.
_MAX_KILLED = 8
_MAX_TOLD = 3


@dataclass
class _Record:
    """One worker's restarts.

    Attributes:
        started: when it was started last, in seconds since 1970.
        vain: how often in a row it ended without having done anything.
        told: how often, of these, with a status that says why.
        due: when it is started again, by ``time.monotonic``; ``None`` for not.
    """

    started: float
    vain: int = 0
    told: int = 0
    due: float | None = None


class Supervisor:
    """Watches over the workers of a run until the last has ended.

    Args:
        storage: where the study is.
        study: the study.
        study_uid: the study's own id.
        engine: runs the workers.
        seat: how the ids of a worker's processes begin, by its name.
        view: shows what happens.
        seconds_left: until no trial is started any more; ``None`` for no limit.
        received: the signals that asked for an end, as they come in.
    """

    def __init__(
        self,
        storage: HardenedStorage,
        study: optuna.Study,
        study_uid: str,
        engine: Engine,
        seat: Callable[[str], str],
        view: View,
        *,
        seconds_left: Callable[[], float | None],
        received: list[int],
    ) -> None:
        self._storage = storage
        self._study = study
        self._study_uid = study_uid
        self._engine = engine
        self._seat = seat
        self._view = view
        self._seconds_left = seconds_left
        self._received = received
        self._started = time.time()
        self._before: set[int] = set()
        self._stopping: float | None = None
        self._done: float | None = None
        self._looked = time.monotonic()
        self._records: dict[str, _Record] = {}
        self._last: WorkerExit | None = None

    def watch(self) -> None:
        """Start the workers and stay with them until they have ended.

        Raises:
            SweepsError: the workers ended before the study did, or trial after trial fails.
        """
        self._before = ended_numbers(self._study.get_trials(deepcopy=False))
        self._engine.start()
        while self._engine.running or self._is_pausing():
            # Before anything that needs the database, which may be away.
            if self._received and self._has_stopped_long_enough():
                return
            try:
                if self._look():
                    return
            except (KeyError, StudyDeleted):
                refuse_deleted(self._study, self._study_uid)
                raise
            except StorageError:
                if not self._received:
                    raise
            time.sleep(_POLL_SECONDS)
        if self._last is not None and not self._received:
            self._refuse_early_end(self._last)

    def _has_stopped_long_enough(self) -> bool:
        """Ask the workers to stop, once; whether they have had their time."""
        if self._stopping is None:
            self._stopping = time.monotonic()
            self._engine.stop()
            self._view.say(
                "Stopping: the running trials are put away and queued again (again: at once)"
            )
        return len(self._received) > 1 or time.monotonic() - self._stopping > STOP_SECONDS

    def _look(self) -> bool:
        """See what the workers are at, and do what follows; whether there is no more to do."""
        exits = self._engine.poll()
        now = time.monotonic()
        if exits or now - self._looked > _RECLAIM_SECONDS:
            reclaim(self._storage, self._study, self._study_uid)
            self._looked = now
        progress = read_progress(self._storage, self._study)
        if progress.study_uid != self._study_uid:
            refuse_deleted(self._study, self._study_uid)
        for worker in exits:
            self._consider(worker, progress)
        self._view.update(progress, self._seconds_left())
        if self._received:
            return False
        if progress.outcomes["failed"]:
            refuse_failures_in_a_row(progress.trials, but_for=self._before)
        self._start_again(progress)
        self._done = (self._done or now) if progress.is_done else None
        lingers = self._done is not None and now - self._done > _LINGER_SECONDS
        if lingers and self._engine.running:
            self._view.say("The study is done; a worker that has not ended is killed")
        return lingers

    def _consider(self, worker: WorkerExit, progress: Progress) -> None:
        """What follows from a worker's end."""
        if self._received or progress.is_done or self._seconds_left() == 0:
            return
        self._last = worker
        how = _how_it_ended(worker)
        if self._engine.restarts_workers:
            self._view.say(f"{worker.name} {how}")
            return
        record = self._records.setdefault(worker.name, _Record(self._started))
        worked = time.time() - record.started > _HEALTHY_SECONDS or any(
            trial.user_attrs.get(WORKER_ID, "").startswith(self._seat(worker.name))
            and trial.datetime_complete is not None
            and trial.datetime_complete.timestamp() > record.started
            for trial in progress.trials
        )
        if worked or self._storage_was_away_since(record.started):
            record.vain = record.told = 0
        else:
            record.vain += 1
            record.told += worker.status > 0
        if record.told >= _MAX_TOLD or record.vain >= _MAX_KILLED:
            self._view.say(f"{worker.name} {how}; not started again, it ends each time")
            return
        pause = min(2.0 ** (record.vain - 2), _MAX_PAUSE_SECONDS) if record.vain > 1 else 0.0
        record.due = time.monotonic() + pause
        when = f" in {pause:.0f} s" if pause else ""
        self._view.say(f"{worker.name} {how}; started again{when}")

    def _storage_was_away_since(self, moment: float) -> bool:
        away = self._storage.last_disconnect
        return away is not None and time.time() - (time.monotonic() - away) > moment

    def _is_pausing(self) -> bool:
        """Whether a worker is to be started again that has not been yet."""
        return not self._received and any(r.due is not None for r in self._records.values())

    def _start_again(self, progress: Progress) -> None:
        for name, record in self._records.items():
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
            "all workers ended before the study did; run it again to go on. The last: "
            + (worker.last_words or f"{worker.name} {_how_it_ended(worker)}")
        )


def _how_it_ended(worker: WorkerExit) -> str:
    if worker.status < 0:
        return f"was killed by signal {-worker.status}"
    return f"ended with status {worker.status}" if worker.status else "ended"
