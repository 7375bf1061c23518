"""Progress of a study: its trials by outcome, the best, what is left; too many failures."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import optuna
from optuna.trial import FrozenTrial, TrialState

from storage import (
    OUTCOME,
    REASON,
    STUDY_UID,
    TARGET,
    UNFINISHED,
    HardenedStorage,
    WorkerRecord,
    living_workers,
    mean_epoch_seconds,
    unfinished_outcome,
)
from sweeps.errors import SweepsError
from sweeps.study.attributes import CLASSES, METRIC, VALIDATION_IMAGES

# The mean epoch is taken over so many of the newest trials: few enough to read at each look.
_TIMED_TRIALS = 32
MAX_FAILURES_IN_A_ROW = 5


@dataclass(frozen=True)
class Progress:
    """A study at one moment.

    Attributes:
        study_uid: tells the study from a later one with its number.
        metrics, directions: of its objectives; the first is shown where one is.
        outcomes: finished trials by outcome; ``completed``, ``pruned``, ``diverged``, ``failed``
            have used the budget; ``interrupted``, ``lost`` and ``out_of_memory`` were retried.
        running: trials that run now.
        finished: trials that ended with a result of their own.
        target: the budget in trials; ``None`` for no limit.
        best: the complete trial with the best value; of several with the best first value, the one
            with the best second, and so on.
        workers: the workers alive.
        val_images: number of images that the metric is measured on.
        classes: number of classes.
        epoch_seconds: the mean of the newest trials' epochs; ``None`` before any was measured.
    """

    study_name: str
    study_uid: str | None
    metrics: list[str]
    directions: list[str]
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
    def metric(self) -> str:
        return self.metrics[0]

    @property
    def direction(self) -> str:
        return self.directions[0]

    @property
    def is_done(self) -> bool:
        return self.target is not None and self.finished >= self.target


def read_progress(storage: HardenedStorage, study: optuna.Study) -> Progress:
    """Read the progress of a study in its storage."""
    attributes = study.user_attrs
    trials = study.get_trials(deepcopy=False)
    directions = study_directions(study)
    newest = [trial._trial_id for trial in trials if trial.intermediate_values][-_TIMED_TRIALS:]
    best = next(iter(best_first(trials, directions)), None)
    names = study.metric_names or [attributes.get(METRIC, "value")]
    if len(names) < len(directions):
        names = [f"value {number}" for number in range(1, len(directions) + 1)]
    return Progress(
        study_name=study.study_name,
        study_uid=attributes.get(STUDY_UID),
        metrics=names,
        directions=directions,
        outcomes=Counter(outcome_of(t) for t in trials if t.state.is_finished()),
        running=sum(trial.state is TrialState.RUNNING for trial in trials),
        finished=count_finished(trials),
        target=attributes.get(TARGET),
        best=best,
        workers=living_workers(storage, study._study_id),
        val_images=attributes.get(VALIDATION_IMAGES),
        classes=attributes.get(CLASSES),
        trials=trials,
        epoch_seconds=mean_epoch_seconds(storage, newest),
    )


def count_finished(trials: Iterable[FrozenTrial]) -> int:
    """Count the trials that ended with a result of their own: the spent part of the budget."""
    return sum(t.state.is_finished() and not unfinished_outcome(t) for t in trials)


def is_done(study: optuna.Study) -> bool:
    """Whether a study has as many results as its budget asks for."""
    target = study.user_attrs.get(TARGET)
    return target is not None and count_finished(study.get_trials(deepcopy=False)) >= target


def study_directions(study: optuna.Study) -> list[str]:
    """Return the directions of a study's objectives: ``maximize`` or ``minimize``."""
    return [direction.name.lower() for direction in study.directions]


def best_first(trials: Iterable[FrozenTrial], directions: Sequence[str]) -> list[FrozenTrial]:
    """Sort the complete ones of some trials by value, the earlier first among equals.

    With several objectives the first decides, then the second, and so on: the first trial is the
    one of the Pareto front with the best first value.
    """
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    return sorted(complete, key=lambda trial: (_losses(trial, directions), trial.number))


def pareto_front(trials: Iterable[FrozenTrial], directions: Sequence[str]) -> list[FrozenTrial]:
    """Return the complete trials that no other beats by every objective, in their best order.

    Example:
        Of accuracies and step times (0.9, 30), (0.8, 20), (0.8, 25) the last is beaten.
    """
    front: list[FrozenTrial] = []
    # Whatever beats a trial comes before it, and is itself in the front or beaten by one that is.
    for trial in best_first(trials, directions):
        losses = _losses(trial, directions)
        beaten = any(
            other != losses and all(a <= b for a, b in zip(other, losses, strict=True))
            for other in (_losses(each, directions) for each in front)
        )
        if not beaten:
            front.append(trial)
    return front


def _losses(trial: FrozenTrial, directions: Sequence[str]) -> list[float]:
    pairs = zip(trial.values, directions, strict=True)
    return [-value if direction == "maximize" else value for value, direction in pairs]


def outcome_of(trial: FrozenTrial) -> str:
    """Return how a finished trial ended, in one word."""
    by_state = {TrialState.COMPLETE: "completed", TrialState.PRUNED: "pruned"}
    outcome: str = trial.user_attrs.get(OUTCOME, by_state.get(trial.state, "failed"))
    return outcome


def last_reason(progress: Progress) -> str:
    """Return why the last failed trial failed."""
    failed = [trial for trial in progress.trials if outcome_of(trial) == "failed"]
    reason: str = failed[-1].user_attrs.get(REASON, "unknown") if failed else "none failed"
    return reason


def count_words(progress: Progress) -> str:
    """Count the finished trials in words: ``12 completed, 7 pruned (2 interrupted, retried)``."""

    def counted(*names: str) -> str:
        parts = [f"{progress.outcomes[name]} {name}" for name in names if progress.outcomes[name]]
        return ", ".join(parts)

    words = counted("completed", "pruned", "diverged", "failed") or "none finished yet"
    again = counted(*UNFINISHED).replace("_", " ")
    return f"{words} ({again}, retried)" if again else words


def ended_numbers(trials: Iterable[FrozenTrial]) -> set[int]:
    """Return the numbers of the trials that have ended."""
    return {trial.number for trial in trials if trial.state.is_finished()}


def refuse_failures_in_a_row(trials: Iterable[FrozenTrial], *, but_for: Collection[int]) -> None:
    """Stop a sweep whose last configurations all failed, on any worker.

    A trial that is retried counts by its retry.

    Args:
        trials: the study's.
        but_for: the numbers of trials that are not counted: they ended before.

    Raises:
        SweepsError: they did.
    """
    ended = [t for t in trials if t.state.is_finished() and t.number not in but_for]
    settled = [trial for trial in ended if not unfinished_outcome(trial)]
    last = sorted(settled, key=lambda trial: trial.datetime_complete or datetime.min)
    last = last[-MAX_FAILURES_IN_A_ROW:]
    if len(last) < MAX_FAILURES_IN_A_ROW or any(outcome_of(trial) != "failed" for trial in last):
        return
    reason = last[-1].user_attrs.get(REASON, "unknown")
    raise SweepsError(
        f"{len(last)} trials failed in a row; trial {last[-1].number}: {reason} (its traceback is "
        "in the trial's note in `sweeps dashboard`)"
    )
