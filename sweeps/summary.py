"""What a sweep found, for its end and for `sweeps status`."""

import math

from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.text import Text

from storage import CONFIGURATION, OVERRIDES
from sweeps.progress import Progress, count_words, outcome_of
from sweeps.tables import make_table, print_table


def standard_error(accuracy: float, pictures: int) -> float:
    """Of an accuracy measured on so many pictures: sqrt(p (1 - p) / n), the binomial's."""
    return math.sqrt(accuracy * (1 - accuracy) / pictures)


def print_summary(
    console: Console, progress: Progress, where: str, val_pictures: int | None
) -> None:
    """Print the best trial, and how it compares with the configurations tried first.

    Args:
        console: where to.
        progress: the study.
        where: the storage, as a person knows it.
        val_pictures: how many pictures the metric was measured on, if known.
    """
    total = "" if progress.target is None else f" of {progress.target}"
    _line(console, f"\nStudy {progress.study_name} in {where}")
    _line(console, f"{progress.finished}{total} trials: {count_words(progress)}\n")
    best = progress.best
    if best is None:
        _line(console, "No trial is complete yet.")
        return
    title = f"Best: trial {best.number}, {progress.metric} {_value(progress, best, val_pictures)}"
    if CONFIGURATION in best.user_attrs:
        title += f" ({best.user_attrs[CONFIGURATION]})"
    console.print(Text(title, style="bold"))
    settings = make_table(box=None, show_header=False, padding=(0, 2))
    for name, value in {**best.user_attrs.get(OVERRIDES, {}), **best.params}.items():
        settings.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
    print_table(console, settings)
    yardsticks = [trial for trial in _latest_yardsticks(progress) if trial.number != best.number]
    if yardsticks:
        _print_comparison(console, progress, best, yardsticks, val_pictures)


def _print_comparison(
    console: Console,
    progress: Progress,
    best: FrozenTrial,
    yardsticks: list[FrozenTrial],
    val_pictures: int | None,
) -> None:
    _line(console, "\nAgainst the configurations that were tried first:")
    table = make_table()
    table.add_column("configuration")
    table.add_column("trial", justify="right")
    table.add_column(progress.metric, justify="right")
    table.add_column("best is", justify="right")
    for trial in yardsticks:
        name = trial.user_attrs[CONFIGURATION]
        if trial.state is not TrialState.COMPLETE:
            outcome = outcome_of(trial) if trial.state.is_finished() else trial.state.name.lower()
            table.add_row(name, str(trial.number), outcome, "-")
            continue
        table.add_row(
            name,
            str(trial.number),
            _value(progress, trial, val_pictures),
            _verdict(progress, best.values[0], trial.values[0], val_pictures),
        )
    print_table(console, table)
    notes = []
    if progress.metric == "val_accuracy" and val_pictures:
        notes.append(
            f"±: one standard error of an accuracy on {val_pictures:,} validation pictures. "
            "Within the noise: less than two standard errors of the difference."
        )
    notes.append(
        f"The best is the best of {progress.outcomes['completed']}, found by search on these "
        "pictures; the others were set beforehand and not tuned. One seed each."
    )
    for note in notes:
        console.print(Text(note, style="dim"))


def _value(progress: Progress, trial: FrozenTrial, val_pictures: int | None) -> str:
    value = trial.values[0]
    if progress.metric != "val_accuracy" or not val_pictures:
        return f"{value:.4f}"
    return f"{value:.4f} ±{standard_error(value, val_pictures):.4f}"


def _verdict(progress: Progress, best: float, other: float, val_pictures: int | None) -> str:
    difference = best - other if progress.direction == "maximize" else other - best
    if difference == 0:
        return "equal"
    words = f"{abs(difference):.4f} {'better' if difference > 0 else 'worse'}"
    if progress.metric == "val_accuracy" and val_pictures:
        noise = math.hypot(standard_error(best, val_pictures), standard_error(other, val_pictures))
        if abs(difference) < 2 * noise:
            words += ", within the noise"
    return words


def _latest_yardsticks(progress: Progress) -> list[FrozenTrial]:
    """The last trial of each configuration: one that was interrupted has a successor."""
    latest: dict[str, FrozenTrial] = {}
    for trial in progress.trials:
        if CONFIGURATION in trial.user_attrs:
            latest[trial.user_attrs[CONFIGURATION]] = trial
    return list(latest.values())


def _line(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
