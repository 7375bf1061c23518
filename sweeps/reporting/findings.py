"""What can be said of a trial's value: its noise, and how it compares with another."""

import math

from optuna.trial import FrozenTrial, TrialState

from storage import CONFIGURATION
from sweeps.study.progress import Progress, outcome_of


def standard_error(accuracy: float, images: int) -> float:
    """Return the standard error of an accuracy: sqrt(p (1 - p) / n), the binomial's.

    Args:
        accuracy: the share of images that were classified correctly.
        images: how many images it was measured on.

    Example:
        >>> standard_error(0.5, 100)
        0.05
    """
    return math.sqrt(accuracy * (1 - accuracy) / images)


def learned(progress: Progress, value: float) -> bool:
    """Whether a value of the metric is better than guessing, by more than chance allows."""
    if not progress.classes or not progress.val_images:
        return True
    if progress.metric == "val_loss":
        return value < math.log(progress.classes)
    if progress.metric != "val_accuracy":
        return True
    guessed = 1 / progress.classes
    return value > guessed + 2 * standard_error(guessed, progress.val_images)


def state_words(progress: Progress, trial: FrozenTrial) -> str:
    """Say where a trial stands or how it ended, in a word."""
    if trial.state.is_finished():
        return outcome_of(trial)
    if trial.state is TrialState.WAITING and progress.is_done:
        return "not run"
    return trial.state.name.lower()


def value_words(progress: Progress, trial: FrozenTrial) -> str:
    """Write a complete trial's value; an accuracy with one standard error."""
    value: float = trial.values[0]
    if progress.metric != "val_accuracy" or not progress.val_images:
        return f"{value:.4f}"
    return f"{value:.4f} ±{standard_error(value, progress.val_images):.4f}"


def verdict_words(progress: Progress, best: float, other: float) -> str:
    """Compare a value with another: ``0.0100 better, within the noise``."""
    if not learned(progress, other):
        return "no match: it did not learn"
    difference = best - other if progress.direction == "maximize" else other - best
    if difference == 0:
        return "equal"
    words = f"{abs(difference):.4f} {'better' if difference > 0 else 'worse'}"
    images = progress.val_images
    if progress.metric == "val_accuracy" and images:
        noise = math.hypot(standard_error(best, images), standard_error(other, images))
        if abs(difference) < 2 * noise:
            words += ", within the noise"
    return words


def latest_baselines(progress: Progress) -> list[FrozenTrial]:
    """Return the last trial of each baseline: one that was interrupted has a retry."""
    latest: dict[str, FrozenTrial] = {}
    for trial in progress.trials:
        if CONFIGURATION in trial.user_attrs:
            latest[trial.user_attrs[CONFIGURATION]] = trial
    return list(latest.values())
