"""How a sweep ended, and why."""

import signal

from sweeps.errors import Stopped, in_words
from sweeps.reporting.events import Ending, SweepEnded, best_of
from sweeps.study.progress import Progress, last_reason


def ended(
    progress: Progress, error: BaseException | None, *, limited: bool, seconds: float
) -> SweepEnded:
    """How a sweep ended.

    Args:
        progress: where its study stands.
        error: what ended it; ``None`` where it ran to its end.
        limited: whether it had a time limit.
        seconds: how long it took.
    """
    how, reason = why_ended(error)
    # What still runs then is another process's, which also sees it through.
    covered = progress.target is not None and (
        progress.finished + progress.running >= progress.target
    )
    if error is None and progress.best is None and progress.outcomes["failed"]:
        how, reason = "failed", no_trial_worked(progress)
    elif error is None and not covered:
        how, reason = ("time_is_up", None) if limited else ("stopped", "its workers ended")
    return SweepEnded(
        study=progress.study_name,
        how=how,
        reason=reason,
        metric=progress.metric,
        finished=progress.finished,
        target=progress.target,
        outcomes=dict(progress.outcomes),
        best=best_of(progress),
        seconds=round(seconds, 1),
    )


def why_ended(error: BaseException | None) -> tuple[Ending, str | None]:
    """How a sweep ended, by the error that ended it, and the reason in words."""
    if error is None:
        return "finished", None
    if isinstance(error, Stopped):
        return "stopped", signal.Signals(error.signal).name
    if isinstance(error, KeyboardInterrupt):
        return "stopped", "SIGINT"
    first_line = next(iter(str(error).splitlines()), "")
    return "failed", in_words(error) or f"{type(error).__name__}: {first_line}"


def no_trial_worked(progress: Progress) -> str:
    """What is wrong with a study that has failed trials and no complete one."""
    return f"no trial worked; the last: {last_reason(progress)}"
