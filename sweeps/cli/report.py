"""``sweeps report``."""

from pathlib import Path

import click

from sweeps.cli.console import quieten_optuna
from sweeps.cli.options import option, storage_option, study_argument


@click.command("report")
@study_argument
@storage_option
@option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write to FILE.html, or to FILE.md with its charts in the folder FILE-charts.  "
    "[default: report.html]",
)
@option(
    "--weights",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    metavar="FILE",
    help="Show trained kernels too: a .safetensors of `sweeps train --save`.",
)
@option("--dashboard", is_flag=True, help="Put the charts into the study's page of the dashboard.")
@option("--force", is_flag=True, help="Replace FILE even if it is no report.")
def command(
    study: str | None,
    storage: str,
    output: Path | None,
    weights: Path | None,
    dashboard: bool,
    force: bool,
) -> None:
    """Write what a study or a comparison found as one file for people who do not know the project.

    STUDY is the name of either, and defaults to the newest; it may still run.
    """
    from storage import open_storage, open_study
    from sweeps.reporting.report import show_in_dashboard, write_report
    from sweeps.reporting.report.comparison import comparison_report
    from sweeps.reporting.report.study import study_report
    from sweeps.study.comparison import confirm_name, find_comparison

    if output is None and not dashboard:
        output = Path("report.html")
    quieten_optuna()
    opened = open_storage(storage)
    comparison = find_comparison(opened, study)
    if comparison is None:
        found = open_study(opened, study)
        report = study_report(opened, found, weights)
    else:
        found = open_study(opened, confirm_name(comparison))
        report = comparison_report(opened, comparison, weights)
    if output is not None:
        write_report(report, output, force=force)
        click.echo(f"Wrote {output} ({report.kind} {report.title})", err=True)
    if dashboard:
        show_in_dashboard(report, opened, found)
        click.echo(f"{found.study_name}: its charts are in `sweeps dashboard`", err=True)
