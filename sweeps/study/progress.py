"""Where a study stands, as its storage knows it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState

from storage import (
    OUTCOME,
    REASON,
    STUDY_UID,
    TARGET,
    HardenedStorage,
    WorkerRecord,
    living_workers,
    mean_epoch_seconds,
    unfinished_outcome,
)
from sweeps.study.attributes import CLASSES, METRIC, VALIDATION_IMAGES, image_count

#: So many trials tell how long an epoch takes: enough for a mean, few enough to read at each look.
_TIMED_TRIALS = 32


@dataclass(frozen=True)
class Progress:
    """A study at one moment.

    Attributes:
        study_uid: tells the study from a later one of its number.
        outcomes: finished trials by outcome; ``completed``, ``pruned``, ``diverged``, ``failed``
            have used the budget, ``interrupted``, ``lost`` and ``out_of_memory`` were queued again.
        running: trials under way.
        finished: trials that ended with a result of their own.
        target: how many trials the study shall have; ``None`` for no limit.
        best: the complete trial with the best value.
        workers: the workers alive.
        val_images: how many the metric is measured on.
        classes: how many the images have.
        epoch_seconds: the mean of the newest trials' epochs; ``None`` before any was measured.
    """

    study_name: str
    study_uid: str | None
    metric: str
    direction: str
    outcomes: Counter[str]
    running: int
    finished: int
    target: int | None
    best: FrozenTrial | None
    workers: list[WorkerRecord]
    val_images: int | None
    classes: int | None
    trials: list[FrozenTrial]
    epoch_seconds: float | None

    @property
    def is_done(self) -> bool:
        return self.target is not None and self.finished >= self.target


def read_progress(storage: HardenedStorage, study: optuna.Study) -> Progress:
    """Read where a study stands."""
    attributes = study.user_attrs
    trials = study.get_trials(deepcopy=False)
    maximize = study.direction == optuna.study.StudyDirection.MAXIMIZE
    newest = [trial._trial_id for trial in trials if trial.intermediate_values][-_TIMED_TRIALS:]
    best = next(iter(best_first(trials, maximize=maximize)), None)
    return Progress(
        study_name=study.study_name,
        study_uid=attributes.get(STUDY_UID),
        metric=attributes.get(METRIC, "value"),
        direction="maximize" if maximize else "minimize",
        outcomes=Counter(outcome_of(t) for t in trials if t.state.is_finished()),
        running=sum(trial.state is TrialState.RUNNING for trial in trials),
        finished=count_finished(trials),
        target=attributes.get(TARGET),
        best=best,
        workers=living_workers(storage, study._study_id),
        val_images=image_count(attributes, VALIDATION_IMAGES),
        classes=attributes.get(CLASSES),
        trials=trials,
        epoch_seconds=mean_epoch_seconds(storage, newest),
    )


def count_finished(trials: Iterable[FrozenTrial]) -> int:
    """How many trials ended with a result of their own: the part of the budget that is spent."""
    return sum(t.state.is_finished() and not unfinished_outcome(t) for t in trials)


def is_done(study: optuna.Study) -> bool:
    """Whether a study has as many results as its budget asks for."""
    target = study.user_attrs.get(TARGET)
    return target is not None and count_finished(study.get_trials(deepcopy=False)) >= target


def best_first(trials: Iterable[FrozenTrial], *, maximize: bool) -> list[FrozenTrial]:
    """The complete ones of some trials by their values, the earlier first among equals."""
    sign = -1 if maximize else 1
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    return sorted(complete, key=lambda trial: (sign * trial.values[0], trial.number))


def outcome_of(trial: FrozenTrial) -> str:
    """How a finished trial ended, in one word."""
    by_state = {TrialState.COMPLETE: "completed", TrialState.PRUNED: "pruned"}
    outcome: str = trial.user_attrs.get(OUTCOME, by_state.get(trial.state, "failed"))
    return outcome


def last_reason(progress: Progress) -> str:
    """Why the last failed trial failed."""
    failed = [trial for trial in progress.trials if outcome_of(trial) == "failed"]
    reason: str = failed[-1].user_attrs.get(REASON, "unknown") if failed else "none failed"
    return reason


def count_words(progress: Progress) -> str:
    """The finished trials in words, as ``12 completed, 7 pruned (2 interrupted, queued again)``."""

    def counted(*names: str) -> str:
        parts = [f"{progress.outcomes[name]} {name}" for name in names if progress.outcomes[name]]
        return ", ".join(parts)

    words = counted("completed", "pruned", "diverged", "failed") or "none finished yet"
    again = counted("interrupted", "lost", "out_of_memory").replace("_", " ")
    return f"{words} ({again}, queued again)" if again else words
