"""``sweeps status``."""

import json
import os
import signal
import sys

import click

from sweeps.cli.console import quieten_optuna, results_console, show_comparison
from sweeps.cli.options import option, storage_option, study_argument


@click.command("status")
@study_argument
@storage_option
@option("--watch", is_flag=True, help="Keep showing it until the study is done.")
@option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print a JSON object; with --watch, one for each change.",
)
def command(study: str | None, storage: str, watch: bool, as_json: bool) -> None:
    """Show where a study stands: trials, workers, and the best so far.

    STUDY defaults to the newest. Of a comparison its arms and verdicts are shown.
    """
    from storage import check_storage, open_storage, open_study, parse_url, show_url
    from sweeps.study.progress import read_progress
    from sweeps.study.stages import find_comparison

    quieten_optuna()
    if watch:
        url = parse_url(storage)
        check_storage(url)
        _watch(study, storage, show_url(url), as_json)
        return
    opened = open_storage(storage)
    if (name := find_comparison(opened, study)) is not None:
        from sweeps.study.comparison_reading import read_comparison

        show_comparison(read_comparison(opened, name), opened.location, as_json)
        return
    progress = read_progress(opened, open_study(opened, study))
    if as_json:
        from sweeps.reporting.json_log import state_of

        click.echo(json.dumps(state_of(progress, opened.location), allow_nan=False))
    else:
        from sweeps.reporting.summary import print_status

        print_status(results_console(), progress, opened.location)


def _watch(study: str | None, storage: str, where: str, as_json: bool) -> None:
    from sweeps.reporting.json_log import JsonStates
    from sweeps.reporting.lines import Lines
    from sweeps.reporting.live import LiveTable
    from sweeps.reporting.summary import print_status
    from sweeps.reporting.watch import Observer, watch

    console = results_console()
    sink = (
        LiveTable(console, watching=where) if console.is_terminal else Lines(console, watching=True)
    )
    try:
        progress = watch(Observer(storage, study), JsonStates(where) if as_json else sink)
    except KeyboardInterrupt:
        raise click.exceptions.Exit(128 + signal.SIGINT) from None
    except BrokenPipeError:
        # The reader of the pipe is gone. Without this, Python complains when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(1) from None
    if console.is_terminal and not as_json:
        print_status(console, progress, where)
