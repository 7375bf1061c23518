"""The consoles of the commands, and quiet libraries."""

import os
import sys
import warnings

from rich.console import Console

_PIPE_WIDTH = 120


def results_console() -> Console:
    """For stdout: as wide as the terminal; tables in a file or pipe are not squeezed into 80."""
    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return Console()
    return Console(width=_PIPE_WIDTH)


def quieten_optuna() -> None:
    """Let Optuna speak of what is wrong alone, not of what it does or thinks experimental."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
