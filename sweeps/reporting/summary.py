"""What a sweep found, for its end and for `sweeps status`."""

import math

from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.text import Text

from storage import CONFIGURATION, OVERRIDES
from sweeps.reporting.tables import make_table, print_table
from sweeps.study.progress import Progress, best_first, count_words, outcome_of


def standard_error(accuracy: float, images: int) -> float:
    """Of an accuracy measured on so many images: sqrt(p (1 - p) / n), the binomial's."""
    return math.sqrt(accuracy * (1 - accuracy) / images)


def learnt(progress: Progress, value: float) -> bool:
    """Whether a value of the metric is better than guessing, by more than chance allows."""
    if not progress.classes or not progress.val_images:
        return True
    if progress.metric == "val_loss":
        return value < math.log(progress.classes)
    guessed = 1 / progress.classes
    return value > guessed + 2 * standard_error(guessed, progress.val_images)


def print_summary(console: Console, progress: Progress, where: str) -> None:
    """Print the best trial, and how it compares with the baselines.

    Args:
        console: where to.
        progress: the study.
        where: the storage, as a person knows it.
    """
    total = "" if progress.target is None else f" of {progress.target}"
    _line(console, f"\nStudy {progress.study_name} in {where}")
    _line(console, f"{progress.finished}{total} trials: {count_words(progress)}\n")
    best = progress.best
    if best is None:
        _line(console, "No trial is complete yet.")
        return
    title = f"Best: trial {best.number}, {progress.metric} {_value(progress, best)}"
    if CONFIGURATION in best.user_attrs:
        title += f" ({best.user_attrs[CONFIGURATION]})"
    console.print(Text(title, style="bold"))
    settings = make_table(box=None, show_header=False, padding=(0, 2))
    for name, value in {**best.user_attrs.get(OVERRIDES, {}), **best.params}.items():
        settings.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
    print_table(console, settings)
    baselines = [trial for trial in _latest_baselines(progress) if trial.number != best.number]
    if baselines:
        _print_comparison(console, progress, best, baselines)
    for note in _notes(progress, best, baselines):
        console.print(Text(note, style="dim"), soft_wrap=not console.is_terminal)


def _print_comparison(
    console: Console,
    progress: Progress,
    best: FrozenTrial,
    baselines: list[FrozenTrial],
) -> None:
    _line(console, "\nAgainst the baselines:")
    table = make_table()
    table.add_column("configuration")
    table.add_column("trial", justify="right")
    table.add_column(progress.metric, justify="right")
    table.add_column("best is", justify="right")
    for trial in baselines:
        name = trial.user_attrs[CONFIGURATION]
        if trial.state is not TrialState.COMPLETE:
            outcome = outcome_of(trial) if trial.state.is_finished() else trial.state.name.lower()
            if outcome == "waiting" and progress.is_done:
                outcome = "not run"
            table.add_row(name, str(trial.number), outcome, "-")
            continue
        table.add_row(
            name,
            str(trial.number),
            _value(progress, trial),
            _verdict(progress, best.values[0], trial.values[0]),
        )
    print_table(console, table)


def _notes(progress: Progress, best: FrozenTrial, baselines: list[FrozenTrial]) -> list[str]:
    """What has to be known to read the figures rightly."""
    notes = []
    if progress.metric == "val_accuracy" and progress.val_images:
        notes.append(
            f"±: one standard error, of {progress.val_images:,} validation images. "
            "Within the noise: less than two standard errors of the difference."
        )
    if not all(learnt(progress, t.values[0]) for t in baselines if t.values):
        notes.append(
            "What did not learn is no better than guessing: most often its learning rate is too "
            "high for it. That says nothing of what it could reach."
        )
    if CONFIGURATION in best.user_attrs:
        notes.insert(0, _search_found_nothing_better(progress, best))
    elif baselines:
        notes.append(
            f"The best is the best of {progress.outcomes['completed']}, chosen on these images; "
            "those above were set beforehand and not tuned."
        )
    notes.append("One seed each: another seed moves every value.")
    return notes


def _search_found_nothing_better(progress: Progress, best: FrozenTrial) -> str:
    of_the_search = [t for t in progress.trials if CONFIGURATION not in t.user_attrs]
    sampled = best_first(of_the_search, maximize=progress.direction == "maximize")
    if not any(trial.state.is_finished() for trial in of_the_search):
        return "The search has not begun: no trial has run that was not set beforehand."
    if not sampled:
        return "The search has found nothing better yet: none of its trials is complete."
    found = sampled[0]
    verdict = _verdict(progress, best.values[0], found.values[0]).replace("better", "worse")
    return (
        f"The search found nothing better. Its own best is trial {found.number} with "
        f"{_value(progress, found)}: {verdict}."
    )


def _value(progress: Progress, trial: FrozenTrial) -> str:
    value = trial.values[0]
    if progress.metric != "val_accuracy" or not progress.val_images:
        return f"{value:.4f}"
    return f"{value:.4f} ±{standard_error(value, progress.val_images):.4f}"


def _verdict(progress: Progress, best: float, other: float) -> str:
    if not learnt(progress, other):
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


def _latest_baselines(progress: Progress) -> list[FrozenTrial]:
    """The last trial of each configuration: one that was interrupted has a successor."""
    latest: dict[str, FrozenTrial] = {}
    for trial in progress.trials:
        if CONFIGURATION in trial.user_attrs:
            latest[trial.user_attrs[CONFIGURATION]] = trial
    return list(latest.values())


def _line(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
