"""``sweeps status``."""

import click

from sweeps.cli.console import quieten_optuna, results_console
from sweeps.cli.options import storage_option, study_argument


@click.command("status")
@study_argument
@storage_option
def command(study: str | None, storage: str) -> None:
    """Show where a study stands: trials, workers, and the best so far.

    STUDY is the newest where it is left out.
    """
    from storage import open_storage, open_study
    from sweeps.progress import read_progress
    from sweeps.summary import print_summary
    from sweeps.tables import make_table, print_table

    quieten_optuna()
    opened = open_storage(storage)
    found = open_study(opened, study)
    progress = read_progress(opened, found)
    console = results_console()
    print_summary(console, progress, opened.location)
    if progress.target is not None:
        left = max(progress.target - progress.finished, 0)
        click.echo(f"\nBudget: {left} of {progress.target} trials left, {progress.running} running")
    if not progress.workers:
        click.echo("Workers: none alive")
        if progress.running:
            click.echo("What is running was left by dead workers: the next run queues it again")
        return
    table = make_table(title="Workers", title_justify="left")
    for column in ("worker", "host", "device", "trial", "epoch"):
        table.add_column(column)
    for worker in progress.workers:
        trial = "-" if worker.trial_number is None else str(worker.trial_number)
        epoch = f"{worker.epoch or 0}/{worker.epochs}" if worker.epochs else "-"
        table.add_row(worker.name, worker.host, worker.device, trial, epoch)
    print_table(console, table)
