"""``sweeps run``."""

import os
import shlex
from typing import TYPE_CHECKING, Any

import click

from sweeps.cli.console import quieten_optuna, results_console
from sweeps.cli.engine import run_options
from sweeps.cli.options import DEFAULT_STORAGE, option, presets_line, storage_option
from sweeps.cli.reporter import report_options

if TYPE_CHECKING:
    from sweeps.reporting import Reporter


@click.command("run", epilog=presets_line("presets"))
@click.argument("spec")
@option("--study", metavar="NAME", help="Name of the study.  [default: from spec and dataset]")
@storage_option
@run_options
@option("--trials", type=click.IntRange(min=1), help="The study's trials, in place of the spec's.")
@option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MINUTES",
    help="Start no trial after so long, in place of the spec's budget.minutes.",
)
@option("--dry-run", is_flag=True, help="Show what the sweep would do and how long; start nothing.")
@report_options
def command(
    spec: str,
    study: str | None,
    storage: str,
    trials: int | None,
    timeout: float | None,
    dry_run: bool,
    settings: dict[str, Any],
    reporter: "Reporter",
) -> None:
    """Run a sweep, or resume it.

    SPEC is the name of a preset or a YAML file. A study that exists is resumed, up to its number of
    trials.
    """
    from storage import open_study, parse_url, show_url
    from sweeps.errors import SweepsError
    from sweeps.reporting import no_trial_worked
    from sweeps.reporting.summary import print_summary
    from sweeps.runner.sweep import run_sweep
    from sweeps.spec.spec import load_spec
    from sweeps.study.progress import read_progress

    quieten_optuna()
    loaded = load_spec(spec)
    changes = {"trials": trials, "minutes": timeout}
    budget = loaded.budget.model_copy(update={k: v for k, v in changes.items() if v is not None})
    loaded = loaded.model_copy(update={"budget": budget})
    if dry_run:
        from sweeps.cli.dry_run import print_dry_run
        from sweeps.engines import find_slots
        from sweeps.runner.dry_run import dry_run as look

        slots = find_slots(
            settings["engine"],
            settings["devices"],
            settings["workers"],
            settings["workers_per_gpu"],
            storage_url=storage,
            **settings["engine_settings"],
        )
        data_dir = settings["data_dir"].absolute()
        found = look(loaded, slots, storage_url=storage, name=study, data_dir=data_dir)
        print_dry_run(results_console(), loaded, slots, found)
        return

    swept = run_sweep(
        loaded,
        storage=storage,
        study=study,
        reporter=reporter,
        **settings,
    )
    progress = read_progress(swept.storage, swept)
    print_summary(results_console(), progress, show_url(parse_url(storage)))
    name = swept.study_name
    if progress.best is None:
        if progress.outcomes["failed"]:
            raise SweepsError(f"{name}: {no_trial_worked(progress)}")
        return
    newest = open_study(swept.storage).study_name == name
    click.echo("\nNext:")
    for line in _next_commands(name, storage, newest):
        click.echo(f"  {line}")


def _next_commands(name: str, storage: str, newest: bool) -> list[str]:
    """What to type next, in the words with which the sweep was started."""
    from storage import has_secret

    at = f"--storage {shlex.quote(storage)}"
    if storage in (DEFAULT_STORAGE, os.environ.get("SWEEPS_STORAGE")):
        at = ""
    elif has_secret(storage):
        # Not to be read over somebody's shoulder, or in a log.
        at = "--storage URL"
    study = "" if newest else shlex.quote(name)
    if "MAKELEVEL" in os.environ:

        def make(target: str, *words: str) -> str:
            arguments = " ".join(word for word in words if word)
            return f'make {target} ARGS="{arguments}"' if arguments else f"make {target}"

        return [make("dashboard", at), make("export", study, at)]
    words = ["sweeps dashboard", at], ["sweeps export", study, "-o best.yaml", at]
    return [" ".join(word for word in line if word) for line in words]
