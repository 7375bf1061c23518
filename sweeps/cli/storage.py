"""``sweeps storage``."""

from pathlib import Path

import click

from sweeps.cli.console import quieten_optuna
from sweeps.cli.options import option, storage_option


@click.group("storage")
def command() -> None:
    """Check a storage, back it up, and copy studies between storages.

    All of this works while workers run.
    """


@command.command("check")
@storage_option
@option(
    "--study",
    "studies",
    metavar="NAME",
    multiple=True,
    help="This study alone; repeatable.",
)
@option(
    "--repair",
    is_flag=True,
    help="Queue orphaned trials again, recount the budget, delete rows that belong to nothing.",
)
def check_command(storage: str, studies: tuple[str, ...], repair: bool) -> None:
    """Check that a storage is sound and its contents are consistent.

    Exits with 1 where something is wrong, and names the remedy. Changes nothing without --repair.
    """
    from storage import check_contents, open_storage, parse_url, repair_contents

    quieten_optuna()
    place = parse_url(storage)
    if repair:
        opened = open_storage(place)
        for line in repair_contents(opened, studies):
            click.echo(f"done   {line}")
        opened.engine.dispose()
    findings = check_contents(place, studies)
    width = max(len(finding.place) for finding in findings)
    for finding in findings:
        click.echo(
            f"{'WRONG' if finding.is_wrong else 'ok':5}  {finding.place:{width}}  {finding.text}"
        )
        if finding.is_wrong:
            click.echo(f"{'':{width + 7}}  remedy: {finding.remedy}")
    if any(finding.is_wrong for finding in findings):
        raise click.exceptions.Exit(1)


@command.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
@storage_option
@option("--force", is_flag=True, help="Replace a file that is there.")
def backup_command(file: Path, storage: str, force: bool) -> None:
    """Write a SQLite storage as it is now to FILE, which is a storage itself.

    Back up a PostgreSQL database with pg_dump, or copy its studies with `sweeps storage copy`.
    """
    from storage import back_up, parse_url, show_url

    quieten_optuna()
    source = parse_url(storage)
    size = back_up(source, file, replace=force)
    click.echo(f"{show_url(source)} -> {file} ({size / 2**20:,.1f} MiB)")


@command.command("copy")
@click.argument("source")
@click.argument("target")
@option("--study", "studies", metavar="NAME", multiple=True, help="This study alone; repeatable.")
@option("--as", "as_name", metavar="NAME", help="The study's name in TARGET.")
def copy_command(source: str, target: str, studies: tuple[str, ...], as_name: str | None) -> None:
    """Copy studies, with everything that belongs to them, from storage SOURCE to storage TARGET.

    Copies all or none of them, as of one moment. Creates TARGET if it does not exist.
    """
    from storage import copy_studies, parse_url, show_url
    from sweeps.spec.spec import check_study_name

    quieten_optuna()
    if as_name is not None:
        check_study_name(as_name, "--as")
    to = parse_url(target)
    copied = copy_studies(parse_url(source), to, studies, as_name=as_name)
    if not copied:
        click.echo(f"{show_url(parse_url(source))}: holds no study", err=True)
    for study in copied:
        click.echo(f"{study.name}: {study.trials} trials -> {show_url(to)}")
        if study.workers:
            click.echo(
                f"{study.name}: {study.workers} workers are running it; copied as it is now",
                err=True,
            )
        if study.running:
            click.echo(
                f"{study.name}: {study.running} trials are running; in the copy nobody runs them: "
                "its first run queues them again",
                err=True,
            )
