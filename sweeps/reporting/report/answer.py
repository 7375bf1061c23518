"""The answer that a study gives, and what has to be known to read it rightly."""

from collections.abc import Iterable
from statistics import NormalDist

from optuna.trial import FrozenTrial, TrialState

from storage import CONFIGURATION
from sweeps.reporting.findings import (
    latest_baselines,
    standard_error,
    value_words,
    verdict_words,
)
from sweeps.reporting.report.study_charts import best_searched, searched
from sweeps.study.progress import Progress, best_first, pareto_front


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
    other = baselines[0]
    against = (
        f"the best of {len(baselines)} baselines, {named(other)}, reached "
        f"{value_words(progress, other)}"
        if len(baselines) > 1
        else f"the baseline, {named(other)}, reached {value_words(progress, other)}"
    )
    verdict = verdict_words(progress, best.values[0], other.values[0])
    return f"The search's best, {found}; {against}. The search's best is {verdict}."


def caveats(progress: Progress) -> list[str]:
    """List what a reader must know before quoting the answer."""
    listed = []
    complete = [t for t in searched(progress) if t.state is TrialState.COMPLETE]
    if not progress.is_done and progress.target is not None:
        listed.append(
            f"The study is not finished: {progress.finished} of {progress.target} trials have "
            f"ended, {progress.running} run."
        )
    if len(complete) > 1:
        listed.append(
            f"The best was chosen among {len(complete)} complete trials of the search by the "
            "number that is shown: it is optimistic." + _luck(progress, len(complete))
        )
    if complete and complete_baselines(progress):
        listed.append("The baselines were set beforehand, not tuned with the same effort.")
    if progress.best is not None:
        listed.append(
            "Each configuration ran once, with one seed, and the test images were not touched: "
            "train the best again with fresh seeds before relying on it."
        )
    return listed


def _luck(progress: Progress, count: int) -> str:
    """Say how far chance alone lifts the best of several trials, where the noise is known.

    The largest of n standard normal numbers is near the quantile (n - 0.375) / (n + 0.25) (Blom,
    "Statistical Estimates and Transformed Beta-Variables", 1958).
    """
    best, images = best_searched(progress), progress.val_images
    if progress.metric != "val_accuracy" or not images or best is None:
        return ""
    lift = NormalDist().inv_cdf((count - 0.375) / (count + 0.25))
    lift *= standard_error(best.values[0], images)
    return (
        f" Were all equally good, the choice of {images:,} validation images alone could put the "
        f"best about {lift:.3f} above the others' mean."
    )


def key_figures(progress: Progress) -> dict[str, str]:
    """Return the numbers that matter most, by what they are."""
    figures = {}
    if progress.best is not None:
        figures[f"best {progress.metric}"] = value_words(progress, progress.best)
    total = "" if progress.target is None else f" of {progress.target}"
    figures["trials"] = f"{progress.finished}{total}"
    figures["trained to the end"] = str(progress.outcomes["completed"])
    for outcome in ("pruned", "diverged", "failed"):
        if progress.outcomes[outcome]:
            figures[outcome] = str(progress.outcomes[outcome])
    if seconds := _seconds(progress.trials):
        figures["time of all trials"] = duration_words(seconds)
    return figures


def complete_baselines(progress: Progress) -> list[FrozenTrial]:
    """Return the complete baselines, the best first."""
    return best_first(latest_baselines(progress), progress.directions)


def named(trial: FrozenTrial) -> str:
    """Name a trial by its number, and by its baseline's name where it is one."""
    configuration = trial.user_attrs.get(CONFIGURATION)
    return f"{configuration} (trial {trial.number})" if configuration else f"trial {trial.number}"


def _seconds(trials: Iterable[FrozenTrial]) -> float:
    return sum(t.duration.total_seconds() for t in trials if t.duration is not None)


def duration_words(seconds: float) -> str:
    """Write a duration: ``2.5 hours``."""
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"
