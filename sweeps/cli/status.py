"""``sweeps status``."""

import json
import os
import signal
import sys
from typing import TYPE_CHECKING

import click

from sweeps.cli.console import quieten_optuna, results_console
from sweeps.cli.options import option, storage_option, study_argument

if TYPE_CHECKING:
    from rich.console import Console

    from sweeps.reporting.watching import Watcher
    from sweeps.study.progress import Progress


@click.command("status")
@study_argument
@storage_option
@option("--watch", is_flag=True, help="Keep showing it until the study is done.")
@option(
    "--interval",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    default=2.0,
    show_default=True,
    help="Between two updates, with --watch.",
)
@option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print a JSON object; with --watch, one for each change.",
)
def command(study: str | None, storage: str, watch: bool, interval: float, as_json: bool) -> None:
    """Show where a study stands: trials, workers, and the best so far.

    STUDY defaults to the newest.
    """
    from storage import check_storage, open_storage, open_study, parse_url, show_url
    from sweeps.study.progress import read_progress

    quieten_optuna()
    if watch:
        url = parse_url(storage)
        check_storage(url)
        _watch(study, storage, show_url(url), interval, as_json)
        return
    opened = open_storage(storage)
    progress = read_progress(opened, open_study(opened, study))
    if as_json:
        from sweeps.reporting.state import state_of

        click.echo(json.dumps(state_of(progress, opened.location), allow_nan=False))
    else:
        _print(results_console(), progress, opened.location)


def _watch(study: str | None, storage: str, where: str, interval: float, as_json: bool) -> None:
    from sweeps.reporting.onlooker import Onlooker
    from sweeps.reporting.watching import JsonWatcher, LineWatcher, TableWatcher, watch

    console = results_console()
    watcher: Watcher
    if as_json:
        watcher = JsonWatcher(click.echo, lambda text: click.echo(text, err=True), where)
    else:
        watcher = TableWatcher(console, where) if console.is_terminal else LineWatcher(console)
    try:
        progress = watch(Onlooker(storage, study).look, watcher, interval)
    except KeyboardInterrupt:
        raise click.exceptions.Exit(128 + signal.SIGINT) from None
    except BrokenPipeError:
        # The reader of the pipe is gone. Without this, Python complains when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(1) from None
    if isinstance(watcher, TableWatcher):
        _print(console, progress, where)


def _print(console: "Console", progress: "Progress", where: str) -> None:
    from rich.text import Text

    from sweeps.reporting.standing import at_work
    from sweeps.reporting.summary import print_summary
    from sweeps.reporting.tables import make_table, print_table

    print_summary(console, progress, where)
    if progress.target is not None:
        left = max(progress.target - progress.finished, 0)
        click.echo(f"\nBudget: {left} of {progress.target} trials left, {progress.running} running")
    if not progress.workers:
        click.echo("Workers: none alive")
        if progress.running:
            click.echo("The running trials are orphaned; the next run queues them again")
        return
    table = make_table(title="Workers", title_justify="left")
    for column in ("worker", "host", "device"):
        table.add_column(column)
    for column in ("trial", "epoch", progress.metric):
        table.add_column(column, justify="right")
    for worker in progress.workers:
        names = (Text(name) for name in (worker.name, worker.host, worker.device))
        table.add_row(*names, *at_work(worker))
    print_table(console, table)
