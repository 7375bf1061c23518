"""The user attributes that trials carry, and how a trial ends that did not run to its end."""

from typing import Any, Literal

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

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
_INHERITED = (CONFIGURATION, OVERRIDES, LOSSES)


def unfinished_outcome(trial: FrozenTrial) -> bool:
    """Whether a trial ended without a result of its own, so that another stands in for it."""
    return (
        trial.state is TrialState.FAIL
        and trial.user_attrs.get(OUTCOME) in ("interrupted", "lost")
        and trial.user_attrs.get(LOSSES, 0) < MAX_LOSSES
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
    losses = trial.user_attrs.get(LOSSES, 0) + (outcome == "lost")
    attributes: dict[str, Any] = {OUTCOME: outcome, REASON: reason, LOSSES: losses}
    try:
        for name, value in attributes.items():
            storage.set_trial_user_attr(trial._trial_id, name, value)
        storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    except UpdateFinishedTrialError:
        return False
    queue_again(study, study.get_trials(deepcopy=False)[trial.number])
    return True


def queue_again(study: optuna.Study, trial: FrozenTrial) -> None:
    """Queue a trial's parameters again, unless another trial stands in for it already."""
    if not unfinished_outcome(trial):
        return
    params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
    inherited = {key: trial.user_attrs[key] for key in _INHERITED if key in trial.user_attrs}
    if not params and CONFIGURATION not in inherited:
        return
    if any(other.user_attrs.get(RETRY_OF) == trial.number for other in study.get_trials(False)):
        return
    study.enqueue_trial(params, user_attrs={**inherited, RETRY_OF: trial.number})
