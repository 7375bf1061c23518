"""When failing trials are no accident any more."""

from collections.abc import Iterable
from datetime import datetime

from optuna.trial import FrozenTrial

from storage import REASON
from sweeps.errors import SweepsError
from sweeps.progress import outcome_of

MAX_FAILURES_IN_A_ROW = 5


def refuse_failures_in_a_row(trials: Iterable[FrozenTrial], *, since: float) -> None:
    """See whether the last trials of a study, whoever ran them, all failed.

    Args:
        trials: the study's.
        since: those that ended before are not counted; seconds since 1970.

    Raises:
        SweepsError: they did.
    """
    start = datetime.fromtimestamp(since)
    ended = [t for t in trials if t.datetime_complete is not None and t.datetime_complete >= start]
    # What was interrupted or lost says nothing of the trials.
    told = [t for t in ended if outcome_of(t) not in ("interrupted", "lost")]
    last = sorted(told, key=lambda trial: trial.datetime_complete or start)
    last = last[-MAX_FAILURES_IN_A_ROW:]
    if len(last) < MAX_FAILURES_IN_A_ROW or any(outcome_of(trial) != "failed" for trial in last):
        return
    reason = last[-1].user_attrs.get(REASON, "unknown")
    raise SweepsError(
        f"{len(last)} trials failed in a row; trial {last[-1].number}: {reason} (its traceback is "
        "among the trial's artifacts in `sweeps dashboard`)"
    )
