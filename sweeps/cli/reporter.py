"""The options of how a sweep is reported: JSON lines and notifications."""

import functools
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from sweeps.cli.options import option
from sweeps.errors import Stopped, in_words

if TYPE_CHECKING:
    from sweeps.reporting.channels import Service

# As sweeps.reporting.notifications.KINDS, which takes a second to import.
_KINDS = ("finished", "failed", "stopped", "best")


def report_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options, and a ``reporter`` made from them.

    An error that ends the command is reported too. With ``--log-json`` it is shown nowhere else.
    """

    @option("--log-json", is_flag=True, help="Write what happens as JSON lines to stderr.")
    @option(
        "--notify-url",
        metavar="URL",
        callback=_open_service,
        help="Notify of the sweep's end and new bests: an apprise URL (slack://, mailto://, "
        "json://, ...), or an https:// URL that is sent JSON.",
    )
    @option("--notify-command", metavar="CMD", help="Notify by running a shell command.")
    @option(
        "--notify-on",
        metavar="KINDS",
        default="finished,failed,best",
        show_default=True,
        callback=_split_kinds,
        help=f"What to notify of: {', '.join(_KINDS)}.",
    )
    @functools.wraps(command)
    def reported(
        *,
        log_json: bool,
        notify_url: "Service | None",
        notify_command: str | None,
        notify_on: tuple[str, ...],
        **options: Any,
    ) -> None:
        from sweeps.reporting import reporting
        from sweeps.reporting.channels import Command
        from sweeps.reporting.notifications import Channel

        channels: list[Channel] = [notify_url] if notify_url else []
        if notify_command:
            channels.append(Command(notify_command))
        with reporting(
            options["study"], log_json=log_json, channels=channels, notify_on=notify_on
        ) as reporter:
            try:
                command(reporter=reporter, **options)
            except (click.ClickException, click.exceptions.Exit):
                raise
            except (Exception, KeyboardInterrupt, Stopped) as error:
                reporter.failed(error)
                status = _exit_status(error)
                if log_json and status is not None:
                    raise click.exceptions.Exit(status) from None
                raise

    return reported


def _exit_status(error: BaseException) -> int | None:
    """Return the error's exit status; ``None`` for a programming error: it gets a traceback."""
    if isinstance(error, Stopped):
        return 128 + error.signal
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    return None if in_words(error) is None else 1


def _open_service(
    _context: click.Context, _parameter: click.Parameter, url: str | None
) -> "Service | None":
    if not url:
        return None
    from sweeps.reporting.channels import Service

    try:
        return Service(url)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _split_kinds(
    _context: click.Context, _parameter: click.Parameter, text: str
) -> tuple[str, ...]:
    kinds = tuple(word.strip() for word in text.split(",") if word.strip())
    for kind in kinds:
        if kind not in _KINDS:
            raise click.BadParameter(f"{kind!r} is none of {', '.join(_KINDS)}")
    return kinds
