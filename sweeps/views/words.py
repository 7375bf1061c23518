"""Durations and counts in words."""

import time

from optuna.trial import TrialState

from sweeps.progress import Progress, outcome_of


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


def count_trials(progress: Progress) -> str:
    """How far a study is, as ``3/24 trials``."""
    total = "" if progress.target is None else f"/{progress.target}"
    return f"{progress.finished}{total} trials"
