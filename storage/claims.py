"""Claims: a worker's right to one trial of a study's budget, and the only way to write to it.

While a worker runs a trial, every write to that trial checks the claim in the write's own
transaction: the claim must still be its worker's, be attached to that trial, and belong to the same
study. Ids cannot tell: SQLite gives the ids of a deleted study and its trials to the next ones.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from optuna.trial import TrialState
from sqlalchemy import Connection, bindparam, exists, select

from storage.errors import ClaimLost, StudyDeleted
from storage.schema import OPTUNA_TABLES, STUDY_UID, claims_table, trials_table

_ATTRIBUTES = OPTUNA_TABLES.tables["study_user_attributes"]

#: The condition for a claim's row; its parameters are :attr:`Claim.row`.
IS_CLAIM = (
    (claims_table.c.claim_id == bindparam("held_claim"))
    & (claims_table.c.worker_id == bindparam("held_by"))
    & exists().where(
        (_ATTRIBUTES.c.study_id == claims_table.c.study_id)
        & (_ATTRIBUTES.c.key == STUDY_UID)
        & (_ATTRIBUTES.c.value_json == bindparam("held_in"))
    )
)
_TRIAL = select(trials_table.c.state).where(trials_table.c.trial_id == bindparam("trial_id"))
_CLAIMS_OF_TRIAL = claims_table.c.trial_id == trials_table.c.trial_id
# Built once, since that takes longer than executing them.
_LOCK = _TRIAL.with_for_update()
_LOCK_CLAIMED = _TRIAL.where(exists().where(_CLAIMS_OF_TRIAL & IS_CLAIM)).with_for_update()
_LOCK_UNCLAIMED = _TRIAL.where(~exists().where(_CLAIMS_OF_TRIAL)).with_for_update()


@dataclass(frozen=True)
class Claim:
    """A claim.

    Attributes:
        claim_id: its number; SQLite gives the number of a deleted row to a new one.
        worker_id: the worker that holds it, which tells it from another of the same number.
        study_uid: the study's own id, which tells it from a later study of the same number.
    """

    claim_id: int
    worker_id: str
    study_uid: str

    @property
    def row(self) -> dict[str, object]:
        """The parameters of :data:`IS_CLAIM`."""
        return {
            "held_claim": self.claim_id,
            "held_by": self.worker_id,
            "held_in": json.dumps(self.study_uid),
        }


_held: ContextVar[Claim | None] = ContextVar("held", default=None)


@contextmanager
def holding(claim: Claim) -> Iterator[None]:
    """Hold a claim for the length of a block: this thread writes to the claim's trial alone."""
    token = _held.set(claim)
    try:
        yield
    finally:
        _held.reset(token)


def held_claim() -> Claim | None:
    """The claim that this thread holds, if any."""
    return _held.get()


def lock_trial(connection: Connection, trial_id: int) -> None:
    """Let no other process change a trial until the transaction ends.

    Raises:
        ClaimLost: this thread holds a claim, and not to this trial.
    """
    if _held.get() is None:
        connection.execute(_LOCK, {"trial_id": trial_id})
    else:
        lock_own_trial(connection, trial_id)


def lock_own_trial(connection: Connection, trial_id: int) -> TrialState:
    """Lock a trial that this thread may end: its claim's, or without a claim an unclaimed one.

    Returns:
        The trial's state.

    Raises:
        ClaimLost: the trial is another worker's, or there is no such trial any more.
    """
    claim = _held.get()
    if claim is None:
        found = connection.execute(_LOCK_UNCLAIMED, {"trial_id": trial_id})
    else:
        found = connection.execute(_LOCK_CLAIMED, {"trial_id": trial_id, **claim.row})
    state: TrialState | None = found.scalar_one_or_none()
    if state is None:
        raise ClaimLost(f"the trial with the id {trial_id} is not this worker's, or is gone")
    return state


def refuse_other_study(connection: Connection, study_id: int, study_uid: str) -> None:
    """Refuse to go on where a study's id belongs to another study.

    Raises:
        StudyDeleted: the study is gone, or another one has its id.
    """
    query = select(_ATTRIBUTES.c.value_json).where(
        (_ATTRIBUTES.c.study_id == study_id) & (_ATTRIBUTES.c.key == STUDY_UID)
    )
    if connection.execute(query).scalar_one_or_none() != json.dumps(study_uid):
        raise StudyDeleted("the study was deleted while it ran")
