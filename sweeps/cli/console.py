"""The consoles of the commands, and quiet libraries."""

import json
import os
import sys
import warnings
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from sweeps.study.comparison import Comparison

_PIPE_WIDTH = 120


def results_console() -> "Console":
    """For stdout: as wide as the terminal; tables in a file or pipe are not squeezed into 80."""
    from rich.console import Console

    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return Console()
    return Console(width=_PIPE_WIDTH)


def quieten_optuna() -> None:
    """Let Optuna speak of what is wrong alone, not of what it does or thinks experimental."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def show_comparison(comparison: "Comparison", where: str, as_json: bool) -> None:
    """Print a comparison's arms and verdicts, or all of it as JSON."""
    from sweeps.reporting.comparison_summary import print_comparison
    from sweeps.reporting.verdicts import comparison_tree

    if as_json:
        click.echo(json.dumps(comparison_tree(comparison), allow_nan=False))
    else:
        print_comparison(results_console(), comparison, where)
