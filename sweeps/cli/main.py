"""The command group. Here errors become a line and an exit status."""

import importlib
import os
import signal
import sys
import threading
from types import FrameType

import click

from sweeps.errors import Stopped, in_words

_COMMANDS = (
    "run",
    "compare",
    "worker",
    "status",
    "report",
    "export",
    "train",
    "data",
    "models",
    "dashboard",
    "storage",
)


class _LazyGroup(click.Group):
    """Imports a command only when it is called, so that ``sweeps --help`` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"sweeps.cli.{name}").command
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="interpodil", prog_name="sweeps")
def group() -> None:
    """Search for the settings under which an interpodilated convolution earns its place.

    Results go to stdout, everything else to stderr. Every option can be set by an environment
    variable, as --storage by SWEEPS_STORAGE.
    """


def main() -> None:
    """Run the command line; exits with 0, 1 (it failed), 2 (bad usage) or 128 plus a signal."""
    signal.signal(signal.SIGTERM, _raise_stopped)
    try:
        status = group.main(prog_name="sweeps", standalone_mode=False)
    except click.exceptions.Exit as leave:
        status = leave.exit_code
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("sweeps: stopped", err=True)
        status = 128 + signal.SIGINT
    except Stopped as stopped:
        remedy = f"; {stopped.remedy}" if stopped.remedy else ""
        click.echo(f"sweeps: stopped{remedy}", err=True)
        status = 128 + stopped.signal
    except Exception as error:
        status = _show(error)
    status = status if isinstance(status, int) else 0
    if any(thread.name == "leave-ray" for thread in threading.enumerate()):
        # It hangs in a Ray cluster that does not answer, and would crash the interpreter's end.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _show(error: Exception) -> int:
    """Show an error's line and return the exit status; a programming error gets its traceback."""
    words = in_words(error)
    if words is None:
        raise error
    for line in words.splitlines():
        click.echo(f"sweeps: {line}", err=True)
    return 1


def _raise_stopped(number: int, _frame: FrameType | None) -> None:
    raise Stopped(number)
