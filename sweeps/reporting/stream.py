"""The stream of events: what happened in a study between two looks at it."""

import math
import signal
import time
from collections.abc import Iterator
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from storage import CONFIGURATION, REASON, RETRY_OF, WorkerRecord, unfinished_outcome
from sweeps.errors import Stopped, in_words, one_line
from sweeps.reporting.events import (
    Ending,
    EpochEnded,
    Event,
    NewBest,
    SweepEnded,
    SweepStarted,
    TrialEnded,
    TrialStarted,
    WorkerEnded,
    WorkerStarted,
    best_of,
    params_of,
)
from sweeps.study.attributes import METRICS, WORKER
from sweeps.study.progress import Progress, last_reason, outcome_of


class Sink:
    """Shows, logs or sends what happens. A sink overrides the methods that it needs.

    After each look at the study :meth:`update` is called once, then :meth:`show` for each event.
    Messages come from any thread, also before the start and after the stop.
    """

    def start(self) -> None:
        """Begin: the sweep is about to start its workers."""

    def update(self, progress: Progress, seconds_left: float | None) -> None:
        """Take note of where the study stands.

        Args:
            progress: the study now.
            seconds_left: until no more trials are started; ``None`` for no limit.
        """

    def show(self, event: Event) -> None:
        """Show an event."""

    def stop(self) -> None:
        """End: no event follows but messages."""


class EventStream:
    """Works out what happened in a study since the last look; before the first one is no event.

    Attributes:
        progress: the study at the last look.

    Example:
        >>> stream = EventStream(read_progress(storage, study))
        >>> for event in stream.advance(read_progress(storage, study), None):
        ...     print(event.sentence())
        trial 3 epoch 2: val_accuracy 0.5120
        trial 4 started: linear 5x5
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._start = time.monotonic()
        self._has_time_limit = False
        self._seen = _seen(progress)

    def started(self) -> SweepStarted:
        """Return the event of the sweep's start."""
        return SweepStarted(
            study=self.progress.study_name,
            metric=self.progress.metric,
            direction=self.progress.direction,
            finished=self.progress.finished,
            target=self.progress.target,
        )

    def advance(self, progress: Progress, seconds_left: float | None) -> list[Event]:
        """Return what happened since the last look, in an order in which it may have happened."""
        self._has_time_limit = self._has_time_limit or seconds_left is not None
        before, self.progress = self.progress, progress
        old_workers = {worker.worker_id: worker for worker in before.workers}
        new_workers = {worker.worker_id: worker for worker in progress.workers}
        study = progress.study_name

        events: list[Event] = [
            WorkerStarted(study=study, **worker_fields(worker))
            for key, worker in new_workers.items()
            if key not in old_workers
        ]
        for trial in progress.trials:
            state, epoch = self._seen.get(trial.number, (TrialState.WAITING, 0))
            events += _trial_events(progress, trial, state, epoch)
        self._seen = _seen(progress)
        events += _new_best(before, progress)
        events += [
            WorkerEnded(study=study, **worker_fields(worker), trial=worker.trial_number)
            for key, worker in old_workers.items()
            if key not in new_workers
        ]
        return events

    def ended(self, error: BaseException | None) -> SweepEnded:
        """Return the event of the sweep's end, as of the last look; an error may have ended it."""
        progress = self.progress
        how, reason = why_ended(error)
        # Another process runs the trials that still run, and will finish them.
        expected = progress.finished + progress.running
        if error is None and progress.best is None and progress.outcomes["failed"]:
            how, reason = "failed", no_trial_worked(progress)
        elif error is None and (progress.target is None or expected < progress.target):
            timed_out = self._has_time_limit
            how, reason = ("time_is_up", None) if timed_out else ("stopped", "its workers ended")
        return SweepEnded(
            study=progress.study_name,
            how=how,
            reason=reason,
            metric=progress.metric,
            finished=progress.finished,
            target=progress.target,
            outcomes=dict(progress.outcomes),
            best=best_of(progress),
            seconds=round(time.monotonic() - self._start, 1),
        )


def why_ended(error: BaseException | None) -> tuple[Ending, str | None]:
    """Say how a sweep ended, by the error that ended it, and the reason in words."""
    if error is None:
        return "finished", None
    if isinstance(error, Stopped):
        return "stopped", signal.Signals(error.signal).name
    if isinstance(error, KeyboardInterrupt):
        return "stopped", "SIGINT"
    return "failed", in_words(error) or one_line(error)


def no_trial_worked(progress: Progress) -> str:
    """Say what is wrong with a study that has failed trials and no complete one."""
    return f"no trial worked; the last: {last_reason(progress)}"


def _seen(progress: Progress) -> dict[int, tuple[TrialState, int]]:
    """Note each trial's state and last epoch; the trials themselves may be updated in place."""
    return {
        trial.number: (trial.state, max(trial.intermediate_values, default=0))
        for trial in progress.trials
    }


def _trial_events(
    progress: Progress, trial: FrozenTrial, old_state: TrialState, old_epoch: int
) -> Iterator[Event]:
    if old_state.is_finished() or trial.state is TrialState.WAITING:
        return
    workers = (worker.name for worker in progress.workers if worker.trial_number == trial.number)
    own: dict[str, Any] = {"study": progress.study_name, "trial": trial.number}
    origin: dict[str, Any] = {
        "configuration": trial.user_attrs.get(CONFIGURATION),
        "worker": trial.user_attrs.get(WORKER) or next(workers, None),
        "retry_of": trial.user_attrs.get(RETRY_OF),
    }
    if old_state is TrialState.WAITING:
        yield TrialStarted(**own, **origin)
    for epoch, value in sorted(trial.intermediate_values.items()):
        if epoch > old_epoch:
            yield EpochEnded(**own, epoch=epoch, metric=progress.metric, value=_finite(value))
    if trial.state.is_finished():
        epochs = max(trial.intermediate_values, default=0)
        yield TrialEnded(
            **own,
            **origin,
            outcome=outcome_of(trial),
            metric=progress.metric,
            value=_finite(trial.intermediate_values.get(epochs, math.nan)),
            metrics=trial.user_attrs.get(METRICS, {}),
            epochs=epochs,
            seconds=None if trial.duration is None else round(trial.duration.total_seconds(), 3),
            reason=trial.user_attrs.get(REASON),
            params=params_of(trial),
            queued_again=unfinished_outcome(trial),
            finished=progress.finished,
            target=progress.target,
        )


def _new_best(before: Progress, progress: Progress) -> Iterator[Event]:
    best, old = best_of(progress), best_of(before)
    if best is not None and (old is None or old["trial"] != best["trial"]):
        previous = None if old is None else old["value"]
        yield NewBest(study=progress.study_name, metric=progress.metric, previous=previous, **best)


def worker_fields(worker: WorkerRecord) -> dict[str, Any]:
    """Say which worker it is, as events and states do."""
    own = {name: getattr(worker, name) for name in ("host", "pid", "device")}
    return {"worker": worker.name, **own}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
