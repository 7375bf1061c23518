"""``sweeps dashboard``."""

import click

from sweeps.cli.console import quieten_optuna
from sweeps.cli.options import option, storage_option


@click.command("dashboard")
@storage_option
@option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="0 takes a free one.",
)
@option("--writable", is_flag=True, help="Let the page edit notes and delete trials and studies.")
def command(storage: str, port: int, writable: bool) -> None:
    """Browse the studies in optuna-dashboard, on this machine alone.

    The page only reads, unless --writable says otherwise: it has no login.
    """
    from storage import open_storage
    from sweeps.dashboard import serve

    quieten_optuna()
    serve(
        open_storage(storage), port, writable=writable, say=lambda text: click.echo(text, err=True)
    )
