"""What happened between two looks at a study, a line each."""

import time

from optuna.trial import FrozenTrial, TrialState

from storage import CONFIGURATION, REASON
from sweeps.progress import Progress, outcome_of


class Events:
    """Tells trials that started and ended since the last look.

    Args:
        starts: whether starts are told, or ends alone.
    """

    def __init__(self, *, starts: bool) -> None:
        self._starts = starts
        self._states: dict[int, TrialState] | None = None

    def since_last(self, progress: Progress) -> list[str]:
        """The lines for what happened; on the first look nothing has."""
        states = {trial.number: trial.state for trial in progress.trials}
        lines = []
        if self._states is not None:
            for trial in progress.trials:
                before = self._states.get(trial.number, TrialState.WAITING)
                if before is trial.state:
                    continue
                if trial.state.is_finished():
                    lines.append(_end_line(progress, trial))
                elif trial.state is TrialState.RUNNING and self._starts:
                    lines.append(_start_line(trial))
        self._states = states
        return lines


def clock(seconds: float) -> str:
    """A duration as ``3:07`` or ``1:02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def seconds_to_go(progress: Progress) -> float | None:
    """How long the rest of the budget will take, judged by the trials so far."""
    if progress.target is None or not progress.workers:
        return None
    durations = [
        trial.duration.total_seconds()
        for trial in progress.trials
        if trial.duration is not None and outcome_of(trial) in ("completed", "pruned", "diverged")
    ]
    if not durations:
        return None
    mean = sum(durations) / len(durations)
    now = time.time()
    under_way = [
        now - trial.datetime_start.timestamp()
        for trial in progress.trials
        if trial.state is TrialState.RUNNING and trial.datetime_start is not None
    ]
    left = (progress.target - progress.finished) * mean - sum(min(s, mean) for s in under_way)
    return max(left, 0.0) / len(progress.workers)


def best_words(progress: Progress) -> str:
    """The best so far, as ``best 0.5120 in trial 7``."""
    if progress.best is None:
        return "no trial complete yet"
    return f"best {progress.best.values[0]:.4f} in trial {progress.best.number}"


def _start_line(trial: FrozenTrial) -> str:
    configuration = trial.user_attrs.get(CONFIGURATION)
    return f"trial {trial.number:>3} started" + (f": {configuration}" if configuration else "")


def _end_line(progress: Progress, trial: FrozenTrial) -> str:
    outcome = outcome_of(trial)
    line = f"trial {trial.number:>3} {outcome:<9}"
    if outcome in ("completed", "pruned") and trial.intermediate_values:
        step = max(trial.intermediate_values)
        value = trial.intermediate_values[step]
        line += f" {progress.metric} {value:.4f} after {step} {'epoch' if step == 1 else 'epochs'}"
    elif REASON in trial.user_attrs:
        line += f" {trial.user_attrs[REASON]}"
    configuration = trial.user_attrs.get(CONFIGURATION)
    return f"{line}  ({configuration})" if configuration else line
