"""The user attributes that trials carry, and how a trial ends that did not run to its end."""

from typing import Literal

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from storage.leases import lease
from storage.rdb import HardenedStorage

Outcome = Literal["completed", "pruned", "diverged", "interrupted", "lost", "failed"]

OUTCOME = "outcome"
REASON = "reason"
CONFIGURATION = "configuration"
OVERRIDES = "overrides"
RETRY_OF = "retry_of"
LOSSES = "losses"

#: A trial whose workers died this many times is given up: it may be what kills them.
MAX_LOSSES = 3

#: Attributes that a retried trial takes over from the one it stands for.
_INHERITED = (CONFIGURATION, OVERRIDES)


def unfinished_outcome(trial: FrozenTrial) -> bool:
    """Whether a trial ended without a result of its own, so that another stands in for it."""
    return (
        trial.state is TrialState.FAIL
        and trial.user_attrs.get(OUTCOME) in ("interrupted", "lost")
        and _losses(trial) < MAX_LOSSES
    )


def abandon_trial(
    study: optuna.Study,
    storage: HardenedStorage,
    trial: FrozenTrial,
    outcome: Literal["interrupted", "lost"],
    reason: str,
) -> bool:
    """End a running trial as FAIL and queue its parameters again.

    Of several processes that try it at once, one does it.

    Returns:
        Whether this call ended the trial.
    """
    try:
        storage.set_trial_user_attr(trial._trial_id, OUTCOME, outcome)
        storage.set_trial_user_attr(trial._trial_id, REASON, reason)
        storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    except UpdateFinishedTrialError:
        return False
    queue_again(study, storage, study.get_trials(deepcopy=False)[trial.number])
    return True


def queue_again(study: optuna.Study, storage: HardenedStorage, trial: FrozenTrial) -> None:
    """Queue a trial's parameters again, unless another trial stands in for it already."""
    if not unfinished_outcome(trial):
        return
    params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
    inherited = {key: trial.user_attrs[key] for key in _INHERITED if key in trial.user_attrs}
    if not params and not inherited:
        return
    with lease(storage, f"the queue of {study.study_name}"):
        trials = study.get_trials(deepcopy=False)
        if any(other.user_attrs.get(RETRY_OF) == trial.number for other in trials):
            return
        attributes = {**inherited, RETRY_OF: trial.number, LOSSES: _losses(trial)}
        study.enqueue_trial(params, user_attrs=attributes)


def _losses(trial: FrozenTrial) -> int:
    """How often a worker died of these parameters, this trial's included."""
    before: int = trial.user_attrs.get(LOSSES, 0)
    return before + (trial.user_attrs.get(OUTCOME) == "lost")
