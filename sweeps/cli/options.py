"""Options that several commands share. Each has an environment variable of the same name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from sweeps.spec import shipped_names

#: As storage.DEFAULT_URL and sweeps.worker.checkpoints.DEFAULT_SECONDS, whose import takes long.
DEFAULT_STORAGE = "sqlite:///sweeps.db"
_CHECKPOINT_SECONDS = 30.0

F = TypeVar("F", bound=Callable[..., Any])


def option(*names: str, **settings: Any) -> Callable[[F], F]:
    """An option with its environment variable: ``--data-dir`` is ``SWEEPS_DATA_DIR``."""
    long = next(name for name in names if name.startswith("--"))
    variable = "SWEEPS_" + long.split("/")[0].removeprefix("--").replace("-", "_").upper()
    settings.setdefault("envvar", variable)
    return click.option(*names, **settings)


def presets_line(folder: str) -> str:
    """Name the presets that ship, for the end of a command's help."""
    return f"Presets: {', '.join(shipped_names(folder))}."


storage_option = option(
    "--storage",
    metavar="URL",
    default=DEFAULT_STORAGE,
    show_default=True,
    help="Where results live: a database URL, or the path of a SQLite file.",
)

data_dir_option = option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("data"),
    show_default=True,
    help="Where datasets are kept.",
)

checkpoint_dir_option = option(
    "--checkpoint-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where trials are checkpointed, to be resumed by any worker.  [default: beside a SQLite "
    "file, else checkpoints]",
)

checkpoint_seconds_option = option(
    "--checkpoint-seconds",
    type=click.FloatRange(min=0),
    default=_CHECKPOINT_SECONDS,
    show_default=True,
    help="Seconds between two checkpoints of a trial; 0 for after every batch.",
)

study_argument = click.argument("study", required=False, envvar="SWEEPS_STUDY")
