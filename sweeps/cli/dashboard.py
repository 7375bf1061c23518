"""``sweeps dashboard``."""

from pathlib import Path

import click

from sweeps.cli.console import quieten_optuna
from sweeps.cli.options import option, storage_option


@click.command("dashboard")
@storage_option
@option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="Where to listen. For any address but this machine's own, visitors need a token.",
)
@option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@option("--writable", is_flag=True, help="Let the page edit notes, end trials and delete studies.")
@option(
    "--token",
    metavar="TOKEN",
    help="The token that visitors need. Other users can read a command line: the environment "
    "variable SWEEPS_TOKEN or --token-file is safer.",
)
@option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file that holds the token.",
)
@option(
    "--allowed-host",
    metavar="NAME",
    multiple=True,
    help="Another host name under which the dashboard is visited; repeatable.",
)
@option(
    "--behind-tls",
    is_flag=True,
    help="A TLS proxy forwards the requests: visitors use https:// addresses.",
)
def command(
    storage: str,
    host: str,
    port: int,
    writable: bool,
    token: str | None,
    token_file: Path | None,
    allowed_host: tuple[str, ...],
    behind_tls: bool,
) -> None:
    """Browse the studies in optuna-dashboard.

    The page only reads, unless --writable is given. It listens on this machine alone, unless --host
    names another address; then visitors need a token, and one is generated and shown if none is
    given. The first lines say who can reach what.
    """
    from storage import open_storage
    from sweeps.dashboard import Settings, checked_token, read_token, serve

    if token is not None and token_file is not None:
        raise click.UsageError(
            "the token is given twice, by --token (SWEEPS_TOKEN) and by --token-file "
            "(SWEEPS_TOKEN_FILE)"
        )
    if token is not None:
        token = checked_token(token, "--token")
    elif token_file is not None:
        token = read_token(token_file)
    quieten_optuna()
    settings = Settings(host, port, token, writable, allowed_host, behind_tls)
    serve(open_storage(storage), settings)
