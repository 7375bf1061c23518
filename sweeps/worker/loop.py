"""A worker's loop: claim a trial, run its objective, end the trial, and again."""

import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError

from storage import (
    DATABASE_ERRORS,
    HEARTBEAT_SECONDS,
    ClaimLost,
    HardenedStorage,
    Outcome,
    StorageError,
    StudyDeleted,
    ask,
    beat,
    claim_trial,
    end_trial,
    end_worker,
    holding,
    note_progress,
    reclaim,
    register_worker,
    release_claim,
)
from sweeps.data import Dataset
from sweeps.errors import (
    STOP_PATIENCE_SECONDS,
    Diverged,
    Interrupted,
    NotLearning,
    OutOfMemory,
    Survived,
    one_line,
)
from sweeps.study.notes import append_note
from sweeps.study.progress import ended_numbers, is_done, refuse_failures_in_a_row
from sweeps.study.study import refuse_deleted
from sweeps.worker.checkpoints import Checkpoints
from sweeps.worker.context import Objective, StudyContext, TrialContext

_RECLAIM_SECONDS = 10.0
_IDLE_SECONDS = 1.0
_IDLE_POLL_SECONDS = 0.1
_LAST_BEAT_SECONDS = 2.0


@dataclass(kw_only=True)
class Worker:
    """Runs trials of a study, one after another.

    Attributes:
        storage: where the study is.
        study: the study, with its pruner.
        study_uid: the study's own id, read before anything else of the study.
        objective: what a trial does.
        configure: turns a trial's parameters into the configuration that the objective is given.
        make_sampler: returns the sampler of the study's n-th worker. Workers with the same sampler
            would suggest the same values.
        checkpoints: of the study's trials.
        metrics: the names of the values that the study optimizes.
        name: what tables and notes call the worker.
        device: where to compute, as PyTorch names it.
        device_label: the same as a person knows it: ``cuda:3``.
        seat: how the worker's id begins; see :meth:`sweeps.engines.WorkerPlan.seat`.
        deadline: no trial starts after it, by ``time.monotonic``; ``None`` for no limit.
        should_stop: asked between trials, and by the objective before every batch.
        dataset, data_dir: the images of the study, and the folder of all datasets.
    """

    storage: HardenedStorage
    study: optuna.Study
    study_uid: str
    objective: Objective
    configure: Callable[[optuna.Trial], Any]
    make_sampler: Callable[[int], optuna.samplers.BaseSampler]
    checkpoints: Checkpoints
    metrics: Sequence[str]
    name: str
    device: str = "cpu"
    device_label: str = "cpu"
    seat: str = ""
    deadline: float | None = None
    should_stop: Callable[[], bool] = lambda: False
    dataset: Dataset | None = None
    data_dir: Path = Path("data")
    worker_id: str = field(default="", init=False)

    def run(self) -> None:
        """Run trials until the study is done, the time is up, or a stop is asked for.

        A worker that finds the whole budget claimed by others waits until their trials have ended,
        because somebody has to run those that get lost.

        Raises:
            SweepsError: too many trials failed in a row, or the study was deleted.
        """
        self.register()
        ignored: tuple[type[Exception], ...] = ()
        try:
            with heartbeat(self.storage, self.worker_id):
                self._run_trials()
        except (KeyError, StudyDeleted):
            refuse_deleted(self.study, self.study_uid)
            raise
        except StorageError:
            # The database had its time: what follows waits no longer, and this error is shown.
            self.storage.hurry(STOP_PATIENCE_SECONDS)
            ignored = (StorageError,)
            raise
        finally:
            with suppress(*ignored):
                end_worker(self.storage, self.worker_id)

    def register(self) -> None:
        """Enter this process as a worker of the study, and give it its sampler."""
        study_id = self.study._study_id
        record = register_worker(self.storage, study_id, self.name, self.device_label, self.seat)
        self.worker_id = record.worker_id
        self.study.sampler = self.make_sampler(record.number)
        # A sampler that has tried every value calls `Study.stop`, which insists on Optuna's own
        # loop. Here the budget says when a study is done.
        self.study._thread_local.in_optimize_loop = True

    def _run_trials(self) -> None:
        before = ended_numbers(self.study.get_trials(deepcopy=False))
        last_reclaim = -_RECLAIM_SECONDS
        while not self.should_stop() and (
            self.deadline is None or time.monotonic() < self.deadline
        ):
            if time.monotonic() - last_reclaim >= _RECLAIM_SECONDS:
                reclaim(self.storage, self.study, self.study_uid)
                last_reclaim = time.monotonic()
            study_id = self.study._study_id
            claim = claim_trial(self.storage, study_id, self.study_uid, self.worker_id)
            if claim is None:
                if self._is_done_soon():
                    return
                continue
            if self.should_stop():
                release_claim(self.storage, claim)
                return
            try:
                trial = ask(self.storage, self.study, claim)
            except ClaimLost:
                # This process was silent for so long that its claim was given to another.
                continue
            with holding(claim):
                outcome = self.run_trial(trial)
            note_progress(self.storage, self.worker_id, trial_number=None)
            if outcome == "failed":
                refuse_failures_in_a_row(self.study.get_trials(deepcopy=False), but_for=before)

    def _is_done_soon(self) -> bool:
        """Wait a second for the study to be done, or to have something to do; whether it is done.

        To look whether it is done locks nothing, as to claim does.
        """
        claims_again = time.monotonic() + _IDLE_SECONDS
        while not (done := is_done(self.study)):
            if time.monotonic() >= claims_again or self.should_stop():
                break
            time.sleep(_IDLE_POLL_SECONDS)
        return done

    def run_trial(self, trial: optuna.Trial) -> Outcome:
        """Run a trial and end it in the study, whatever happens.

        Returns:
            How it ended. ``lost`` means that another process ended it, because this one was silent
            for too long.
        """
        try:
            context = self._make_context(trial)
            values = context.result(self.objective(context))
        except optuna.TrialPruned:
            return self._end(trial, "pruned")
        except NotLearning as error:
            return self._end(trial, "pruned", str(error))
        except Diverged as error:
            return self._end(trial, "diverged", str(error))
        except Interrupted:
            return self._end(trial, "interrupted", "the sweep was stopped")
        except UpdateFinishedTrialError as error:
            # Most likely another worker took it, which makes it lost here. One that is still this
            # worker's would run for ever.
            return self._end(trial, "failed", f"{type(error).__name__}: {error}")
        except OutOfMemory as error:
            if error.overrides:
                return self._end(trial, "out_of_memory", str(error), overrides=error.overrides)
            return self._end(trial, "failed", str(error))
        except (StorageError, *DATABASE_ERRORS):
            # The trial is not to blame. It is lost with its worker and resumes in a retry.
            raise
        except Exception as error:
            # A path in it may hold bytes that are no text.
            text = traceback.format_exc().encode(errors="backslashreplace").decode()
            outcome = self._end(trial, "failed", one_line(error), traceback=text)
            if outcome == "failed":
                append_note(trial, f"```\n{text}```")
            return outcome
        return self._end(trial, "completed", value=values)

    def _make_context(self, trial: optuna.Trial) -> TrialContext:
        trials = self.study.get_trials(deepcopy=False)
        self.checkpoints.tidy(trials)
        return StudyContext(
            trial=trial,
            config=self.configure(trial),
            device=self.device,
            metrics=self.metrics,
            checkpoint=self.checkpoints.of(trial.number, trials),
            should_stop=self.should_stop,
            dataset=self.dataset,
            data_dir=self.data_dir,
            worker_name=self.name,
            _study=self.study,
            _storage=self.storage,
            _worker_id=self.worker_id,
        )

    def _end(
        self, trial: optuna.Trial, outcome: Outcome, reason: str | None = None, **known: Any
    ) -> Outcome:
        number = trial.number
        mine = end_trial(self.storage, self.study, number, outcome, reason=reason, **known)
        return outcome if mine else "lost"


@contextmanager
def heartbeat(
    storage: HardenedStorage, worker_id: str, seconds: float = HEARTBEAT_SECONDS
) -> Iterator[None]:
    """Tell the storage every few seconds that a worker lives, for the length of a block."""
    finished = threading.Event()

    def keep_beating() -> None:
        survived = Survived(__name__, "the worker's heartbeat failed")
        while not finished.wait(seconds):
            try:
                beat(storage, worker_id)
            except Exception as error:
                # The next beat may succeed; a trial is not lost for one that did not.
                survived.note(error)
            else:
                survived.note(None)

    thread = threading.Thread(target=keep_beating, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        # A beat under way would mark a worker as alive that is about to say it has ended.
        thread.join(timeout=_LAST_BEAT_SECONDS)
