"""Durations and counts in words."""

from collections import Counter

from optuna.trial import FrozenTrial, TrialState

from storage import CONFIGURATION
from sweeps.study.progress import Progress, outcome_of

_OUTCOMES = ("completed", "pruned", "diverged")


def clock(seconds: float) -> str:
    """A duration as ``3:07`` or ``1:02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def seconds_to_go(progress: Progress) -> float | None:
    """How long the rest of the budget will take: the epochs that are left, at their measured pace.

    Baselines run to their end. How far any other trial comes is judged by all that came as far.
    """
    pace = progress.epoch_seconds
    if progress.target is None or pace is None or not progress.workers:
        return None
    trials = [
        trial
        for trial in progress.trials
        if not trial.state.is_finished() or outcome_of(trial) in _OUTCOMES
    ]
    whole = max([worker.epochs or 0 for worker in progress.workers] + [*map(_done, trials)])
    others = [trial for trial in trials if CONFIGURATION not in trial.user_attrs]
    reached = Counter(_done(trial) for trial in others)
    ended = Counter(_done(trial) for trial in others if trial.state.is_finished())
    # From each epoch, how many more are to be expected: the next, and what follows if a trial goes
    # on then. Two that are made up and come to their end steady the first guesses.
    expected = [0.0] * (whole + 1)
    there, stays = 2 + reached[whole], 1.0
    for epoch in reversed(range(whole)):
        expected[epoch] = 1 + stays * expected[epoch + 1]
        there += reached[epoch]
        stays = 1 - ended[epoch] / there
    # Running ones first: of those that wait, the budget may not have room for all.
    unfinished = [trial for trial in trials if not trial.state.is_finished()]
    unfinished.sort(key=lambda trial: trial.state is TrialState.WAITING)
    room = max(progress.target - progress.finished, progress.running)
    left = [
        whole - _done(trial) if CONFIGURATION in trial.user_attrs else expected[_done(trial)]
        for trial in unfinished[:room]
    ]
    left += [expected[0]] * (room - len(left))
    # Several workers do not make one trial shorter.
    return pace * max(sum(left) / len(progress.workers), max(left, default=0.0))


def _done(trial: FrozenTrial) -> int:
    return max(trial.intermediate_values, default=0)


def best_words(progress: Progress) -> str:
    """The best so far, as ``best 0.5120 in trial 7``."""
    if progress.best is None:
        return "no trial complete yet"
    return f"best {progress.best.values[0]:.4f} in trial {progress.best.number}"


def count_trials(progress: Progress) -> str:
    """How far a study is, as ``3/24 trials``."""
    total = "" if progress.target is None else f"/{progress.target}"
    return f"{progress.finished}{total} trials"
