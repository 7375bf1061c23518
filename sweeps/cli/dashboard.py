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
    help="Where to listen; from other addresses than this machine's own a token is asked for.",
)
@option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="0 takes a free one.",
)
@option("--writable", is_flag=True, help="Let the page edit notes, end trials and delete studies.")
@option(
    "--token",
    metavar="TOKEN",
    help="What visitors have to know. Other users can read a command line: better the environment "
    "variable SWEEPS_TOKEN, or --token-file.",
)
@option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file that holds the token.",
)
@option(
    "--allowed-host",
    metavar="NAME",
    multiple=True,
    help="A further name under which the dashboard is visited; can be given several times.",
)
@option(
    "--behind-tls",
    is_flag=True,
    help="A proxy that speaks TLS passes the requests on, from https:// addresses.",
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

    It only reads, unless --writable says otherwise. It listens on this machine alone, unless --host
    names another address; then visitors need a token, which is made up and shown when none is
    given. What it exposes to whom is said at the start.
    """
    from storage import open_storage
    from sweeps.dashboard import Settings, checked_token, read_token, serve

    if token is not None and token_file is not None:
        raise click.UsageError(
            "the token is given twice: by --token (SWEEPS_TOKEN) and by --token-file "
            "(SWEEPS_TOKEN_FILE)"
        )
    if token is not None:
        token = checked_token(token, "--token")
    elif token_file is not None:
        token = read_token(token_file)
    quieten_optuna()
    settings = Settings(host, port, token, writable, allowed_host, behind_tls)
    serve(open_storage(storage), settings, say=lambda text: click.echo(text, err=True))
