"""What a study found, printed: by ``sweeps run`` and ``status``."""

from optuna.trial import FrozenTrial
from rich.console import Console
from rich.text import Text

from storage import CONFIGURATION
from sweeps.numbers import written
from sweeps.reporting.events import params_of
from sweeps.reporting.findings import (
    baseline_rows,
    caveats,
    is_baseline,
    noise_words,
    searched,
    value_words,
    verdict_words,
)
from sweeps.reporting.formatting import (
    brief,
    make_table,
    print_line,
    print_notes,
    print_rows,
    print_table,
)
from sweeps.reporting.live import worker_table
from sweeps.study.attributes import METRICS
from sweeps.study.progress import Progress, best_first, count_words, pareto_front


def print_summary(console: Console, progress: Progress, where: str) -> None:
    """Print the best trial, and how it compares with the baselines.

    A person knows the storage as ``where``.
    """
    total = "" if progress.target is None else f" of {progress.target}"
    print_line(console, f"\nStudy {progress.study_name} in {where}")
    print_line(console, f"{progress.finished}{total} trials: {count_words(progress)}\n")
    best = progress.best
    if best is None:
        print_line(console, "No trial is complete yet.")
        return
    title = f"Best: trial {best.number}, {progress.metric} {value_words(progress, best)}"
    if is_baseline(best):
        title += f" ({best.user_attrs[CONFIGURATION]})"
    console.print(Text(title, style="bold"))
    settings = make_table(box=None, show_header=False, padding=(0, 2))
    for name, value in params_of(best).items():
        settings.add_row(name, Text(brief(value)))
    print_table(console, settings)
    if others := _other_metrics(progress, best):
        print_notes(console, [others])
    if len(progress.metrics) > 1:
        _print_pareto_front(console, progress)
    if baselines := baseline_rows(progress, best):
        print_line(console, "\nAgainst the baselines:")
        header = ["baseline", "trial", progress.metric, "best is"]
        print_rows(console, header, baselines, words={"baseline"})
    found = [_nothing_better(progress, best)] if is_baseline(best) else []
    print_notes(console, [*found, *noise_words(progress), *caveats(progress)])


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
    return ", ".join(
        f"{name} {'not finite' if value is None else written(value)}"
        for name, value in trial.user_attrs.get(METRICS, {}).items()
        if name != progress.metric
    )


def _print_pareto_front(console: Console, progress: Progress) -> None:
    front = pareto_front(progress.trials, progress.directions)
    complete = progress.outcomes["completed"]
    print_line(console, f"\nPareto front, {len(front)} of {complete} complete trials:")
    goals = zip(progress.metrics, progress.directions, strict=True)
    header = ["trial", *(f"{name} ({direction})" for name, direction in goals), "baseline"]
    rows = [
        [str(t.number), *map(written, t.values), t.user_attrs.get(CONFIGURATION, "")] for t in front
    ]
    print_rows(console, header, rows, words={"baseline"})


def _nothing_better(progress: Progress, best: FrozenTrial) -> str:
    sampled = searched(progress)
    if not any(trial.state.is_finished() for trial in sampled):
        return "The search has not begun: only baselines have run."
    complete = best_first(sampled, progress.directions)
    if not complete:
        yet = "" if progress.is_done else " yet"
        return f"The search has found nothing better{yet}: none of its trials is complete."
    found = complete[0]
    verdict = verdict_words(progress, best.values[0], found.values[0]).replace("better", "worse")
    return (
        f"The search found nothing better. Its own best is trial {found.number} with "
        f"{value_words(progress, found)}: {verdict}."
    )
