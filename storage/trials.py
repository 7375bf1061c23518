"""How trials end, and how one that ended without a result is retried.

An end is one transaction: the trial's state and attributes, the retry that is queued, and the share
of the budget that is given back. No accident leaves one without the others.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import optuna
from optuna.storages._rdb.models import TrialSystemAttributeModel
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, delete, func, select

from storage.claims import held_claim, lock_own_trial
from storage.errors import DATABASE_ERRORS, ClaimLost, StorageError
from storage.reconnecting import patient
from storage.schema import (
    CONFIGURATION,
    LOSSES,
    OUTCOME,
    OVERRIDES,
    REASON,
    RETRIES,
    RETRY_OF,
    TRACEBACK,
    WORKER_ID,
    claims_table,
)
from storage.storage import HardenedStorage
from storage.transactions import transaction

Outcome = Literal[
    "completed", "pruned", "diverged", "failed", "interrupted", "lost", "out_of_memory"
]
OUTCOMES: tuple[str, ...] = get_args(Outcome)

#: How often a trial is retried whose worker died, where its study does not say.
DEFAULT_RETRIES = 2

_logger = logging.getLogger(__name__)

_STATES = {"pruned": TrialState.PRUNED, "diverged": TrialState.PRUNED}
#: Ends without a result: the trial is retried.
UNFINISHED = ("interrupted", "lost", "out_of_memory")

#: Attributes that a retry takes over from the trial that it replaces.
_INHERITED = (CONFIGURATION, OVERRIDES)

#: What Optuna's samplers note of a trial: its retry takes its place in the grid, in a generation of
#: NSGA-II or of CMA-ES.
_INHERITED_OF_SAMPLERS = (
    *("grid_id", "search_space"),
    "NSGAIISampler:generation",
    *("cma:generation", "cmawm:generation", "x_for_tell"),
)

#: What Optuna's successive halving, also inside of Hyperband, keeps of a trial for the others.
_RUNGS = "completed_rung_%"


def unfinished_outcome(trial: FrozenTrial) -> bool:
    """Whether a trial ended without a result, so that a retry replaces it."""
    return trial.state is TrialState.FAIL and trial.user_attrs.get(OUTCOME) in UNFINISHED


@patient
def end_trial(
    storage: HardenedStorage,
    study: optuna.Study,
    number: int,
    outcome: Outcome,
    *,
    value: float | Sequence[float] | None = None,
    reason: str | None = None,
    traceback: str | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> bool:
    """End a running trial: the one of this thread's claim, or an unclaimed one.

    One that is ``interrupted``, ``lost`` or ``out_of_memory`` gives its share of the budget back,
    and a retry with its parameters is queued. A trial whose workers died more often than the
    study's ``retries`` has ``failed``.

    Args:
        storage: where it is.
        study: its study.
        number: its number.
        outcome: how it ends.
        value: of a completed trial; several where the study has several objectives.
        reason: for a person to read.
        traceback: of the exception that ended it.
        overrides: settings of its retry, beside those of this trial.

    Returns:
        Whether this call ended it, or an earlier one of the same claim and outcome, whose answer
        was lost; false where another process ended it, or claims it.
    """
    with transaction(storage.engine, study._study_id) as connection:
        try:
            trial_id = storage.get_trial_id_from_study_id_trial_number(study._study_id, number)
        except KeyError:
            # Deleted with its study.
            return False
        is_mine = _lock_running(connection, trial_id)
        trial = storage.get_trial(trial_id)
        mine = claims_table.c.trial_id == trial_id
        worker_id = "" if (claim := held_claim()) is None else claim.worker_id
        losses = trial.user_attrs.get(LOSSES, 0) + (outcome == "lost")
        if outcome == "lost" and losses > study.user_attrs.get(RETRIES, DEFAULT_RETRIES):
            outcome, reason = "failed", f"{reason} ({losses} times)"
        if not is_mine:
            end = (trial.user_attrs.get(WORKER_ID, ""), trial.user_attrs.get(OUTCOME))
            return end == (worker_id, outcome)
        known = {
            OUTCOME: outcome,
            REASON: reason,
            TRACEBACK: traceback,
            WORKER_ID: worker_id or None,
        }
        for name, content in known.items():
            if content is not None:
                storage.set_trial_user_attr(trial_id, name, content)
        # With several objectives nothing is pruned, and samplers cannot read such trials.
        states = _STATES if len(study.directions) == 1 else {}
        ended = {"state": states.get(outcome, TrialState.FAIL)}
        try:
            study.tell(number, **({"values": value} if outcome == "completed" else ended))
        except (StorageError, *DATABASE_ERRORS):
            raise
        except Exception as error:
            if not storage.get_trial(trial_id).state.is_finished():
                raise
            # Optuna ends the trial all the same, and its result counts.
            words = "trial %d ended, and its sampler's after_trial failed: %s: %s"
            _logger.warning(words, number, type(error).__name__, " ".join(str(error).split()))
        if outcome in UNFINISHED:
            # The retry reaches the same rungs, where one trial must not count twice.
            rungs = TrialSystemAttributeModel.key.like(_RUNGS)
            of_trial = TrialSystemAttributeModel.trial_id == trial_id
            connection.execute(delete(TrialSystemAttributeModel).where(of_trial & rungs))
            _queue_retry(storage, study._study_id, trial, losses, overrides or {})
            connection.execute(delete(claims_table).where(mine))
        elif not connection.execute(select(func.count()).where(mine)).scalar_one():
            # Another program asked for it; its result counts all the same.
            spent = {"study_id": study._study_id, "worker_id": worker_id, "trial_id": trial_id}
            connection.execute(claims_table.insert().values(spent))
    return True


def _lock_running(connection: Connection, trial_id: int) -> bool:
    """Lock a trial, and return whether it runs and this thread may end it."""
    try:
        return lock_own_trial(connection, trial_id) is TrialState.RUNNING
    except ClaimLost:
        return False


def _queue_retry(
    storage: HardenedStorage,
    study_id: int,
    trial: FrozenTrial,
    losses: int,
    overrides: Mapping[str, Any],
) -> None:
    params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
    attributes = {name: trial.user_attrs[name] for name in _INHERITED if name in trial.user_attrs}
    if overrides:
        attributes[OVERRIDES] = {**attributes.get(OVERRIDES, {}), **overrides}
    attributes |= {RETRY_OF: trial.number, LOSSES: losses}
    known = trial.system_attrs
    place = {name: known[name] for name in _INHERITED_OF_SAMPLERS if name in known}
    queue_trial(storage, study_id, params, attributes, place)


def queue_trial(
    storage: HardenedStorage,
    study_id: int,
    params: Mapping[str, Any],
    user_attrs: Mapping[str, Any],
    system_attrs: Mapping[str, Any] | None = None,
) -> None:
    """Queue a trial with parameters and attributes; what they leave open is sampled.

    As `Study.enqueue_trial` does, but past the study's cache, which would keep the trial if the
    transaction around this were lost.
    """
    waiting = optuna.trial.create_trial(
        state=TrialState.WAITING,
        system_attrs={"fixed_params": params, **(system_attrs or {})},
        user_attrs=dict(user_attrs),
    )
    storage.create_new_trial(study_id, template_trial=waiting)
