"""When what goes wrong is no accident any more."""

from collections.abc import Collection, Iterable
from datetime import datetime

import optuna
from optuna.trial import FrozenTrial

from storage import REASON, HardenedStorage
from sweeps.errors import SweepsError
from sweeps.progress import outcome_of

MAX_FAILURES_IN_A_ROW = 5


def ended_numbers(trials: Iterable[FrozenTrial]) -> set[int]:
    """The numbers of the trials that have ended."""
    return {trial.number for trial in trials if trial.state.is_finished()}


def refuse_failures_in_a_row(trials: Iterable[FrozenTrial], *, but_for: Collection[int]) -> None:
    """See whether the last trials of a study, whoever ran them, all failed.

    Args:
        trials: the study's.
        but_for: the numbers of those that are not counted: they ended before.

    Raises:
        SweepsError: they did.
    """
    ended = [t for t in trials if t.state.is_finished() and t.number not in but_for]
    # What was interrupted or lost says nothing of the trials.
    told = [t for t in ended if outcome_of(t) not in ("interrupted", "lost")]
    last = sorted(told, key=lambda trial: trial.datetime_complete or datetime.min)
    last = last[-MAX_FAILURES_IN_A_ROW:]
    if len(last) < MAX_FAILURES_IN_A_ROW or any(outcome_of(trial) != "failed" for trial in last):
        return
    reason = last[-1].user_attrs.get(REASON, "unknown")
    raise SweepsError(
        f"{len(last)} trials failed in a row; trial {last[-1].number}: {reason} (its traceback is "
        "among the trial's artifacts in `sweeps dashboard`)"
    )


def refuse_deleted(storage: HardenedStorage, study: optuna.Study) -> None:
    """Look for the cause of a KeyError, which is what calls for a study get that is not there.

    Raises:
        SweepsError: the study was deleted.
    """
    if study._study_id not in {each._study_id for each in storage.get_all_studies()}:
        raise SweepsError(f"{study.study_name}: was deleted while it ran") from None
