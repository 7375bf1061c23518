"""When what goes wrong is no accident any more."""

from collections.abc import Collection, Iterable
from datetime import datetime

import optuna
from optuna.trial import FrozenTrial

from storage import REASON, STUDY_UID, unfinished_outcome
from sweeps.errors import SweepsError
from sweeps.study.progress import outcome_of

MAX_FAILURES_IN_A_ROW = 5


def ended_numbers(trials: Iterable[FrozenTrial]) -> set[int]:
    """The numbers of the trials that have ended."""
    return {trial.number for trial in trials if trial.state.is_finished()}


def refuse_failures_in_a_row(trials: Iterable[FrozenTrial], *, but_for: Collection[int]) -> None:
    """See whether the last configurations of a study, whoever ran them, all failed.

    A trial that is retried counts by its retry.

    Args:
        trials: the study's.
        but_for: the numbers of those that are not counted: they ended before.

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


def refuse_deleted(study: optuna.Study, study_uid: str) -> None:
    """See whether a study is still the one that it was, and not gone or another of its number.

    Raises:
        SweepsError: the study was deleted.
    """
    try:
        attributes = study.user_attrs
    except KeyError:
        attributes = {}
    if attributes.get(STUDY_UID) != study_uid:
        raise SweepsError(f"{study.study_name}: was deleted while it ran") from None
