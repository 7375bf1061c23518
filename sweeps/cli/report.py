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
    help="Write to FILE.html, to FILE.md with its charts in the folder FILE-charts, or every "
    "trial's epochs to FILE.csv.  [default: report.html]",
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
    from storage import open_storage, open_study, study_names
    from sweeps.reporting.report.comparison import comparison_report
    from sweeps.reporting.report.dashboard import show_in_dashboard
    from sweeps.reporting.report.files import write_report
    from sweeps.reporting.report.records import write_records
    from sweeps.reporting.report.study import study_report
    from sweeps.study.stages import confirm_name, find_comparison, stages

    if output is None and not dashboard:
        output = Path("report.html")
    quieten_optuna()
    opened = open_storage(storage)
    comparison = find_comparison(opened, study)
    found = open_study(opened, study if comparison is None else confirm_name(comparison))
    if output is not None and output.suffix == ".csv":
        studies = [found.study_name]
        if comparison is not None:
            studies = stages(comparison, study_names(opened))
        write_records(opened, studies, output, force=force)
        click.echo(f"Wrote {output} ({comparison or found.study_name})", err=True)
        output = None
    if output is None and not dashboard:
        return
    if comparison is None:
        report = study_report(opened, found, weights)
    else:
        report = comparison_report(opened, comparison, weights)
    if output is not None:
        write_report(report, output, force=force)
        click.echo(f"Wrote {output} ({report.kind} {report.title})", err=True)
    if dashboard:
        show_in_dashboard(report, opened, found)
        click.echo(f"{found.study_name}: its charts are in `sweeps dashboard`", err=True)
