"""What is said of a study: its answer, what limits it, and the noise of its values."""

import math
from collections.abc import Iterable
from statistics import NormalDist

from optuna.trial import FrozenTrial, TrialState

from storage import CONFIGURATION
from sweeps.study.progress import Progress, best_first, outcome_of, pareto_front


def is_baseline(trial: FrozenTrial) -> bool:
    """Whether a trial is a baseline: no sampler picked its settings."""
    return CONFIGURATION in trial.user_attrs


def searched(progress: Progress) -> list[FrozenTrial]:
    """Return the trials whose settings a sampler picked."""
    return [trial for trial in progress.trials if not is_baseline(trial)]


def best_searched(progress: Progress) -> FrozenTrial | None:
    """Return the best trial that is no baseline; ``None`` if none is complete."""
    return next(iter(best_first(searched(progress), progress.directions)), None)


def latest_baselines(progress: Progress) -> list[FrozenTrial]:
    """Return the last trial of each baseline: one that was interrupted has a retry."""
    named = {t.user_attrs[CONFIGURATION]: t for t in progress.trials if is_baseline(t)}
    return list(named.values())


def complete_baselines(progress: Progress) -> list[FrozenTrial]:
    """Return the complete baselines, the best first."""
    return best_first(latest_baselines(progress), progress.directions)


def answer(progress: Progress) -> str:
    """Say in one sentence what was found."""
    complete = progress.outcomes["completed"]
    if progress.best is None:
        return "There is no answer yet: no trial is complete."
    if len(progress.metrics) > 1:
        front = pareto_front(progress.trials, progress.directions)
        goals = " and ".join(progress.metrics)
        return (
            f"{len(front)} of {complete} complete trials are beaten by no other in {goals}; the "
            f"best {progress.metric} is {value_words(progress, progress.best)}, of "
            f"{named(progress.best)}."
        )
    best, baselines = best_searched(progress), complete_baselines(progress)
    if best is None:
        return (
            f"Only baselines are complete; the best, {named(baselines[0])}, reached "
            f"{progress.metric} {value_words(progress, baselines[0])}."
        )
    found = f"{named(best)}, reached {progress.metric} {value_words(progress, best)}"
    if not baselines:
        which = "only complete trial" if complete == 1 else f"best of {complete} complete trials"
        return f"The {which}, {found}."
    several = f"the best of {len(baselines)} baselines" if len(baselines) > 1 else "the baseline"
    other = f"{several}, {named(baselines[0])}, reached {value_words(progress, baselines[0])}"
    if not learned(progress, baselines[0].values[0]):
        return f"The search's best, {found}; {other}, no better than guessing."
    verdict = verdict_words(progress, best.values[0], baselines[0].values[0])
    return f"The search's best, {found}; {other}. The search's best is {verdict}."


def named(trial: FrozenTrial) -> str:
    """Name a trial by its number, and by its baseline's name where it is one."""
    configuration = trial.user_attrs.get(CONFIGURATION)
    return f"{configuration} (trial {trial.number})" if configuration else f"trial {trial.number}"


def caveats(progress: Progress) -> list[str]:
    """List what a reader must know before quoting the answer, or a baseline's value."""
    listed = []
    complete = best_first(searched(progress), progress.directions)
    baselines = complete_baselines(progress)
    if len(complete) > 1:
        listed.append(
            f"The search's best was chosen among {len(complete)} complete trials by the number "
            "that is shown: it is optimistic." + _luck(progress, complete)
        )
    if complete and baselines:
        listed.append("The baselines were set beforehand, not tuned with the same effort.")
    if not all(learned(progress, trial.values[0]) for trial in baselines):
        listed.append(
            "A baseline that did not learn is no better than guessing: most often its learning "
            "rate is too high for it. That says nothing about what it could reach."
        )
    if progress.best is not None:
        listed.append(
            "Each configuration ran once, with one seed, and the test images were not touched: "
            "train the best again with fresh seeds before relying on it."
        )
    return listed


def _luck(progress: Progress, best: list[FrozenTrial]) -> str:
    """Say how far chance alone lifts the best of several trials, where the noise is known.

    The largest of n standard normal numbers is near the quantile (n - 0.375) / (n + 0.25) (Blom,
    "Statistical Estimates and Transformed Beta-Variables", 1958).
    """
    error = _noise(progress, best[0].values[0])
    if error is None:
        return ""
    lift = NormalDist().inv_cdf((len(best) - 0.375) / (len(best) + 0.25)) * error
    return (
        f" Were all equally good, the choice of {progress.val_images:,} validation images alone "
        f"could put the best about {lift:.3f} above the others' mean."
    )


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


def _noise(progress: Progress, value: float) -> float | None:
    """Return the standard error of a value; ``None`` where it is not known."""
    if progress.metric != "val_accuracy" or not progress.val_images:
        return None
    return standard_error(value, progress.val_images)


def noise_words(progress: Progress) -> list[str]:
    """Explain the signs of noise, where values have any."""
    if progress.metric != "val_accuracy" or not progress.val_images:
        return []
    return [
        f"±: one standard error, of {progress.val_images:,} validation images. "
        "Within the noise: less than two standard errors of the difference."
    ]


def learned(progress: Progress, value: float) -> bool:
    """Whether a value of the metric is better than guessing, by more than chance allows."""
    if progress.classes and progress.val_images and progress.metric == "val_loss":
        return value < math.log(progress.classes)
    if progress.classes and progress.val_images and progress.metric == "val_accuracy":
        guessed = 1 / progress.classes
        return value > guessed + 2 * standard_error(guessed, progress.val_images)
    return True


def value_words(progress: Progress, trial: FrozenTrial) -> str:
    """Write a complete trial's value; an accuracy with one standard error."""
    value: float = trial.values[0]
    noise = _noise(progress, value)
    return f"{value:.4f}" if noise is None else f"{value:.4f} ±{noise:.4f}"


def verdict_words(progress: Progress, best: float, other: float) -> str:
    """Compare a value with another: ``0.0100 better, within the noise``."""
    if not learned(progress, other):
        return "not compared, it did not learn"
    difference = best - other if progress.direction == "maximize" else other - best
    if difference == 0:
        return "equal"
    words = f"{abs(difference):.4f} {'better' if difference > 0 else 'worse'}"
    noises = _noise(progress, best), _noise(progress, other)
    if None not in noises and abs(difference) < 2 * math.hypot(*filter(None, noises)):
        words += ", within the noise"
    return words


def baseline_rows(progress: Progress, best: FrozenTrial | None) -> list[list[str]]:
    """Write each baseline's name, trial, value or state, and what the best is against it."""
    rows = []
    for trial in latest_baselines(progress):
        if trial is best:
            continue
        value, verdict = _state_words(progress, trial), "-"
        if trial.state is TrialState.COMPLETE:
            value = value_words(progress, trial)
            if best is not None:
                verdict = verdict_words(progress, best.values[0], trial.values[0])
        rows.append([trial.user_attrs[CONFIGURATION], str(trial.number), value, verdict])
    return rows


def _state_words(progress: Progress, trial: FrozenTrial) -> str:
    """Say where a trial stands or how it ended, in a word."""
    if trial.state.is_finished():
        return outcome_of(trial)
    if trial.state is TrialState.WAITING and progress.is_done:
        return "not run"
    return trial.state.name.lower()


def time_words(trials: Iterable[FrozenTrial]) -> str:
    """Write how long trials took together: ``2.5 hours``."""
    seconds = sum(t.duration.total_seconds() for t in trials if t.duration is not None)
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"
