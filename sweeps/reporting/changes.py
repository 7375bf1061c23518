"""The events between two looks at a study."""

import math
import time
from collections.abc import Iterator

from optuna.trial import FrozenTrial, TrialState

from storage import CONFIGURATION, REASON, RETRY_OF, WorkerRecord, unfinished_outcome
from sweeps.reporting.endings import ended
from sweeps.reporting.events import (
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
from sweeps.study.attributes import WORKER
from sweeps.study.progress import Progress, outcome_of


class Changes:
    """Tells what happened since the last look.

    Args:
        progress: the study at the first look.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._start = time.monotonic()
        self._limited = False
        self._states: dict[int, TrialState] = {}
        self._epochs: dict[int, int] = {}
        self._remember(progress)

    def started(self) -> SweepStarted:
        """The sweep's start; its clock starts too."""
        self._start = time.monotonic()
        return SweepStarted(
            study=self.progress.study_name,
            metric=self.progress.metric,
            direction=self.progress.direction,
            finished=self.progress.finished,
            target=self.progress.target,
        )

    def since_last(self, progress: Progress, seconds_left: float | None) -> list[Event]:
        """What happened since the last look, in an order in which it may have happened."""
        self._limited = self._limited or seconds_left is not None
        before = {worker.worker_id: worker for worker in self.progress.workers}
        now = {worker.worker_id: worker for worker in progress.workers}
        study = progress.study_name
        events: list[Event] = [_worker_started(study, now[key]) for key in now if key not in before]
        for trial in progress.trials:
            events += self._of_trial(progress, trial)
        if best := self._new_best(progress):
            events.append(best)
        events += [_worker_ended(study, before[key]) for key in before if key not in now]
        self._remember(progress)
        self.progress = progress
        return events

    def ended(self, error: BaseException | None) -> SweepEnded:
        """The sweep's end, for the last progress seen."""
        seconds = time.monotonic() - self._start
        return ended(self.progress, error, limited=self._limited, seconds=seconds)

    def _of_trial(self, progress: Progress, trial: FrozenTrial) -> Iterator[Event]:
        before = self._states.get(trial.number, TrialState.WAITING)
        if before.is_finished() or trial.state is TrialState.WAITING:
            return
        if before is TrialState.WAITING:
            yield _trial_started(progress, trial)
        known = self._epochs.get(trial.number, 0)
        for epoch, value in sorted(trial.intermediate_values.items()):
            if epoch > known:
                yield EpochEnded(
                    study=progress.study_name,
                    trial=trial.number,
                    epoch=epoch,
                    metric=progress.metric,
                    value=value if math.isfinite(value) else None,
                )
        if trial.state.is_finished():
            yield _trial_ended(progress, trial)

    def _new_best(self, progress: Progress) -> NewBest | None:
        best, before = best_of(progress), best_of(self.progress)
        if best is None or (before is not None and before["trial"] == best["trial"]):
            return None
        previous = None if before is None else before["value"]
        return NewBest(study=progress.study_name, metric=progress.metric, previous=previous, **best)

    def _remember(self, progress: Progress) -> None:
        self._states = {trial.number: trial.state for trial in progress.trials}
        self._epochs = {
            trial.number: max(trial.intermediate_values, default=0)
            for trial in progress.trials
            if trial.state is TrialState.RUNNING
        }


def _worker_started(study: str, worker: WorkerRecord) -> WorkerStarted:
    return WorkerStarted(
        study=study,
        worker=worker.name,
        host=worker.host,
        pid=worker.pid,
        device=worker.device,
    )


def _worker_ended(study: str, worker: WorkerRecord) -> WorkerEnded:
    return WorkerEnded(
        study=study,
        worker=worker.name,
        host=worker.host,
        pid=worker.pid,
        device=worker.device,
        trial=worker.trial_number,
    )


def _trial_started(progress: Progress, trial: FrozenTrial) -> TrialStarted:
    return TrialStarted(
        study=progress.study_name,
        trial=trial.number,
        configuration=trial.user_attrs.get(CONFIGURATION),
        worker=_worker_of(progress, trial),
        retry_of=trial.user_attrs.get(RETRY_OF),
    )


def _trial_ended(progress: Progress, trial: FrozenTrial) -> TrialEnded:
    epochs = max(trial.intermediate_values, default=0)
    value = trial.intermediate_values.get(epochs, math.nan)
    return TrialEnded(
        study=progress.study_name,
        trial=trial.number,
        outcome=outcome_of(trial),
        metric=progress.metric,
        value=value if math.isfinite(value) else None,
        epochs=epochs,
        seconds=None if trial.duration is None else round(trial.duration.total_seconds(), 3),
        reason=trial.user_attrs.get(REASON),
        configuration=trial.user_attrs.get(CONFIGURATION),
        params=params_of(trial),
        worker=_worker_of(progress, trial),
        retry_of=trial.user_attrs.get(RETRY_OF),
        queued_again=unfinished_outcome(trial),
        finished=progress.finished,
        target=progress.target,
    )


def _worker_of(progress: Progress, trial: FrozenTrial) -> str | None:
    at_it = (worker.name for worker in progress.workers if worker.trial_number == trial.number)
    name: str | None = trial.user_attrs.get(WORKER) or next(at_it, None)
    return name
