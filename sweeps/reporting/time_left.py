"""How long a sweep will take."""

from statistics import fmean

from optuna.trial import FrozenTrial, TrialState

from sweeps.reporting.findings import is_baseline
from sweeps.reporting.formatting import clock
from sweeps.study.progress import Progress, outcome_of

_OUTCOMES = ("completed", "pruned", "diverged")


def time_left(progress: Progress, seconds_left: float | None) -> str | None:
    """Say how long the sweep will take, as ``about 3:07 left``.

    Args:
        progress: the study.
        seconds_left: until no more trials are started; ``None`` for no limit.

    Returns:
        ``None`` if the study is done or no epoch was measured yet.
    """
    if progress.is_done:
        return None
    if seconds_left == 0:
        return "time is up: the last trials end"
    estimate = seconds_to_go(progress)
    if estimate is None:
        return None if seconds_left is None else f"at most {clock(seconds_left)} left"
    if seconds_left is not None:
        estimate = min(estimate, seconds_left)
    if estimate < 1:
        return "soon done"
    # Until a sampled trial has ended, nothing is known of pruning: all are expected to run in full.
    measured = any(t.state.is_finished() for t in _counted(progress) if not is_baseline(t))
    return f"{'about' if measured else 'at most'} {clock(estimate)} left"


def seconds_to_go(progress: Progress) -> float | None:
    """Estimate the seconds until the budget is spent: the epochs left, times their measured pace.

    Baselines run in full. How far another trial comes is judged by the trials that came as far.

    Returns:
        ``None`` without a budget, without a worker, or before an epoch was measured.
    """
    pace = progress.epoch_seconds
    if progress.target is None or pace is None or not progress.workers:
        return None
    trials = _counted(progress)
    full = max([worker.epochs or 0 for worker in progress.workers] + [*map(_epochs, trials)])
    sampled = [trial for trial in trials if not is_baseline(trial)]
    # Trials that run are taken to run in full, as are two imagined ones, lest the first trials to
    # end decide alone.
    lengths = [_epochs(trial) if trial.state.is_finished() else full for trial in sampled]
    lengths += [full, full]

    def expected(epochs: int) -> float:
        """Return the mean number of epochs that follow after so many."""
        return fmean(n for n in lengths if n > epochs or n == full) - epochs

    # Running trials first: the budget may not have room for all that wait.
    unfinished = [trial for trial in trials if not trial.state.is_finished()]
    unfinished.sort(key=lambda trial: trial.state is TrialState.WAITING)
    room = max(progress.target - progress.finished, progress.running)
    left = [
        full - _epochs(trial) if is_baseline(trial) else expected(_epochs(trial))
        for trial in unfinished[:room]
    ]
    left += [expected(0)] * (room - len(left))
    # Several workers do not make one trial shorter.
    return pace * max(sum(left) / len(progress.workers), max(left, default=0.0))


def _counted(progress: Progress) -> list[FrozenTrial]:
    """Return the trials that tell how long others take: unfinished, or ended with a result."""
    return [t for t in progress.trials if not t.state.is_finished() or outcome_of(t) in _OUTCOMES]


def _epochs(trial: FrozenTrial) -> int:
    return max(trial.intermediate_values, default=0)
