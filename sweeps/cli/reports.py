"""The options for what is told of a sweep elsewhere than on a terminal."""

import functools
import signal
from collections.abc import Callable
from typing import Any

import click

from sweeps.cli.options import option
from sweeps.errors import Stopped, in_words

# As sweeps.reporting.notifications.KINDS, which takes a second to import.
_KINDS = ("finished", "failed", "stopped", "best")


def report_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options, and as ``reports`` what they ask for.

    Whatever ends the command is reported too. With ``--log-json`` it is told there alone.
    """

    @option("--log-json", is_flag=True, help="Tell what happens as JSON lines on stderr.")
    @option(
        "--notify-url",
        metavar="URL",
        callback=_check_url,
        help="POST a JSON message there on the sweep's end and on a new best.",
    )
    @option("--notify-command", metavar="CMD", help="Run a shell command then.")
    @option(
        "--notify-on",
        metavar="KINDS",
        default="finished,failed,best",
        show_default=True,
        callback=_split_kinds,
        help=f"What to notify of, of {', '.join(_KINDS)}.",
    )
    @functools.wraps(command)
    def reported(
        *,
        log_json: bool,
        notify_url: str | None,
        notify_command: str | None,
        notify_on: tuple[str, ...],
        **options: Any,
    ) -> None:
        from sweeps.reporting.reports import Reports

        with Reports(
            options["study"],
            log_json=log_json,
            notify_url=notify_url,
            notify_command=notify_command,
            notify_on=notify_on,
        ) as reports:
            try:
                command(reports=reports, **options)
            except (click.ClickException, click.exceptions.Exit):
                raise
            except (Exception, KeyboardInterrupt, Stopped) as error:
                reports.ended_by(error)
                status = _exit_status(error)
                if log_json and status is not None:
                    raise click.exceptions.Exit(status) from None
                raise

    return reported


def _exit_status(error: BaseException) -> int | None:
    """As the command line gives it; ``None`` for a programming error, which keeps its traceback."""
    if isinstance(error, Stopped):
        return 128 + error.signal
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    return None if in_words(error) is None else 1


def _check_url(_context: click.Context, _parameter: click.Parameter, url: str | None) -> str | None:
    if url is not None:
        from sweeps.reporting.notifications import Webhook

        try:
            Webhook(url)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
    return url


def _split_kinds(
    _context: click.Context, _parameter: click.Parameter, text: str
) -> tuple[str, ...]:
    kinds = tuple(word.strip() for word in text.split(",") if word.strip())
    for kind in kinds:
        if kind not in _KINDS:
            raise click.BadParameter(f"{kind!r} is none of {', '.join(_KINDS)}")
    return kinds
