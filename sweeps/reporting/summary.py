"""What a sweep found: printed at its end and by ``sweeps status``."""

from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.text import Text

from storage import CONFIGURATION
from sweeps.reporting.events import params_of
from sweeps.reporting.findings import (
    latest_baselines,
    learned,
    state_words,
    value_words,
    verdict_words,
)
from sweeps.reporting.formatting import make_table, print_line, print_table
from sweeps.reporting.live import worker_table
from sweeps.study.attributes import METRICS
from sweeps.study.progress import Progress, best_first, count_words, pareto_front


def print_summary(console: Console, progress: Progress, where: str) -> None:
    """Print the best trial, and how it compares with the baselines.

    Args:
        console: where to print.
        progress: the study.
        where: the storage, as a person knows it.
    """
    total = "" if progress.target is None else f" of {progress.target}"
    print_line(console, f"\nStudy {progress.study_name} in {where}")
    print_line(console, f"{progress.finished}{total} trials: {count_words(progress)}\n")
    best = progress.best
    if best is None:
        print_line(console, "No trial is complete yet.")
        return
    title = f"Best: trial {best.number}, {progress.metric} {value_words(progress, best)}"
    if CONFIGURATION in best.user_attrs:
        title += f" ({best.user_attrs[CONFIGURATION]})"
    console.print(Text(title, style="bold"))
    settings = make_table(box=None, show_header=False, padding=(0, 2))
    for name, value in params_of(best).items():
        settings.add_row(name, Text(f"{value:.4g}" if isinstance(value, float) else str(value)))
    print_table(console, settings)
    if others := _other_metrics(progress, best):
        console.print(Text(others, style="dim"), soft_wrap=not console.is_terminal)
    if len(progress.metrics) > 1:
        _print_pareto_front(console, progress)
    baselines = [trial for trial in latest_baselines(progress) if trial.number != best.number]
    if baselines:
        _print_comparison(console, progress, best, baselines)
    for note in _notes(progress, best, baselines):
        console.print(Text(note, style="dim"), soft_wrap=not console.is_terminal)


def print_status(console: Console, progress: Progress, where: str) -> None:
    """Print the summary, the budget left and the workers alive."""
    print_summary(console, progress, where)
    if progress.target is not None:
        left = max(progress.target - progress.finished, 0)
        budget = f"{left} of {progress.target} trials left, {progress.running} running"
        print_line(console, f"\nBudget: {budget}")
    if progress.workers:
        table = worker_table(progress)
        table.title, table.title_justify = "Workers", "left"
        print_table(console, table)
        return
    print_line(console, "Workers: none alive")
    if progress.running:
        print_line(console, "The running trials are orphaned; the next run queues them again")


def _other_metrics(progress: Progress, trial: FrozenTrial) -> str:
    """Name what else the last epoch of a trial measured, as ``val_loss 1.234, step_ms 20.1``."""
    metrics = trial.user_attrs.get(METRICS, {})
    shown = {name: value for name, value in metrics.items() if name != progress.metric}
    return ", ".join(
        f"{name} {'not finite' if value is None else f'{value:.4g}'}"
        for name, value in shown.items()
    )


def _print_pareto_front(console: Console, progress: Progress) -> None:
    front = pareto_front(progress.trials, progress.directions)
    complete = progress.outcomes["completed"]
    print_line(console, f"\nPareto front, {len(front)} of {complete} complete trials:")
    table = make_table()
    table.add_column("trial", justify="right")
    for name, direction in zip(progress.metrics, progress.directions, strict=True):
        table.add_column(f"{name} ({direction})", justify="right")
    table.add_column("baseline")
    for trial in front:
        values = [f"{value:.4g}" for value in trial.values]
        table.add_row(str(trial.number), *values, Text(trial.user_attrs.get(CONFIGURATION, "")))
    print_table(console, table)


def _print_comparison(
    console: Console, progress: Progress, best: FrozenTrial, baselines: list[FrozenTrial]
) -> None:
    print_line(console, "\nAgainst the baselines:")
    table = make_table()
    table.add_column("baseline")
    for name in ("trial", progress.metric, "best is"):
        table.add_column(name, justify="right")
    for trial in baselines:
        value, verdict = state_words(progress, trial), "-"
        if trial.state is TrialState.COMPLETE:
            value = value_words(progress, trial)
            verdict = verdict_words(progress, best.values[0], trial.values[0])
        table.add_row(Text(trial.user_attrs[CONFIGURATION]), str(trial.number), value, verdict)
    print_table(console, table)


def _notes(progress: Progress, best: FrozenTrial, baselines: list[FrozenTrial]) -> list[str]:
    """List what a reader has to know to read the numbers rightly."""
    notes = []
    if CONFIGURATION in best.user_attrs:
        notes.append(_search_found_nothing_better(progress, best))
    if progress.metric == "val_accuracy" and progress.val_images:
        notes.append(
            f"±: one standard error, of {progress.val_images:,} validation images. "
            "Within the noise: less than two standard errors of the difference."
        )
    if not all(learned(progress, t.values[0]) for t in baselines if t.values):
        notes.append(
            "A baseline that did not learn is no better than guessing: most often its learning "
            "rate is too high for it. That says nothing about what it could reach."
        )
    if baselines and CONFIGURATION not in best.user_attrs:
        notes.append(
            f"The best is the best of {progress.outcomes['completed']}, chosen on these images; "
            "the baselines were set beforehand and not tuned."
        )
    notes.append("One seed each: another seed moves every value.")
    return notes


def _search_found_nothing_better(progress: Progress, best: FrozenTrial) -> str:
    searched = [t for t in progress.trials if CONFIGURATION not in t.user_attrs]
    if not any(trial.state.is_finished() for trial in searched):
        return "The search has not begun: only baselines have run."
    complete = best_first(searched, progress.directions)
    if not complete:
        yet = "" if progress.is_done else " yet"
        return f"The search has found nothing better{yet}: none of its trials is complete."
    found = complete[0]
    verdict = verdict_words(progress, best.values[0], found.values[0]).replace("better", "worse")
    return (
        f"The search found nothing better. Its own best is trial {found.number} with "
        f"{value_words(progress, found)}: {verdict}."
    )
