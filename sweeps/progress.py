"""Where a study stands, as its storage knows it."""

from collections import Counter
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState

from storage import OUTCOME, HardenedStorage, WorkerRecord, list_workers, unfinished_outcome
from sweeps.attributes import METRIC, TARGET


@dataclass(frozen=True)
class Progress:
    """A study at one moment.

    Attributes:
        outcomes: finished trials by outcome; ``completed``, ``pruned``, ``diverged``, ``failed``
            have used the budget, ``interrupted`` and ``lost`` were queued again.
        running: trials under way.
        finished: trials that ended with a result of their own.
        target: how many trials the study shall have; ``None`` for no limit.
        best: the complete trial with the best value.
        workers: the workers alive.
    """

    study_name: str
    metric: str
    direction: str
    outcomes: Counter[str]
    running: int
    finished: int
    target: int | None
    best: FrozenTrial | None
    workers: list[WorkerRecord]
    trials: list[FrozenTrial]

    @property
    def is_done(self) -> bool:
        return self.target is not None and self.finished >= self.target


def read_progress(storage: HardenedStorage, study: optuna.Study) -> Progress:
    """Read where a study stands."""
    trials = study.get_trials(deepcopy=False)
    maximize = study.direction == optuna.study.StudyDirection.MAXIMIZE
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    sign = 1 if maximize else -1
    best = max(complete, key=lambda trial: sign * trial.values[0], default=None)
    return Progress(
        study_name=study.study_name,
        metric=study.user_attrs.get(METRIC, "value"),
        direction="maximize" if maximize else "minimize",
        outcomes=Counter(outcome_of(t) for t in trials if t.state.is_finished()),
        running=sum(trial.state is TrialState.RUNNING for trial in trials),
        finished=sum(t.state.is_finished() and not unfinished_outcome(t) for t in trials),
        target=study.user_attrs.get(TARGET),
        best=best,
        workers=[w for w in list_workers(storage, study._study_id) if w.is_alive()],
        trials=trials,
    )


def outcome_of(trial: FrozenTrial) -> str:
    """How a finished trial ended, in one word."""
    by_state = {TrialState.COMPLETE: "completed", TrialState.PRUNED: "pruned"}
    outcome: str = trial.user_attrs.get(OUTCOME, by_state.get(trial.state, "failed"))
    return outcome


def count_words(progress: Progress) -> str:
    """The finished trials in words, as ``12 completed, 7 pruned``."""
    order = ("completed", "pruned", "diverged", "failed", "interrupted", "lost")
    parts = [f"{progress.outcomes[name]} {name}" for name in order if progress.outcomes[name]]
    return ", ".join(parts) or "none finished yet"
