"""``sweeps worker``."""

import time
from pathlib import Path

import click

from sweeps.cli.console import quieten_optuna
from sweeps.cli.options import (
    checkpoint_dir_option,
    checkpoint_seconds_option,
    data_dir_option,
    option,
    storage_option,
    study_argument,
)

# The longest name that a storage takes.
_MAX_NAME = 64


@click.command("worker")
@study_argument
@storage_option
@option("--device", default="auto", show_default=True, help="auto, cpu, or one GPU as in cuda:0.")
@option("--threads", type=click.IntRange(min=1), help="CPU threads.  [default: a fair share]")
@option("--name", help="What to call the worker.  [default: HOST-pidPID]")
@option(
    "--timeout",
    type=click.FloatRange(min=0),
    metavar="MINUTES",
    help="Start no trial after so long.",
)
@data_dir_option
@checkpoint_dir_option
@checkpoint_seconds_option
@click.option("--seat", default="", hidden=True)
def command(
    study: str | None,
    storage: str,
    device: str,
    threads: int | None,
    name: str | None,
    timeout: float | None,
    data_dir: Path,
    checkpoint_dir: Path | None,
    checkpoint_seconds: float,
    seat: str,
) -> None:
    """Work on a study that exists, from any shell that reaches its storage.

    STUDY is the newest where it is left out.
    """
    if name is not None and not 0 < len(name) <= _MAX_NAME:
        raise click.BadParameter(f"use 1 to {_MAX_NAME} letters", param_hint="--name")
    deadline = None if timeout is None else time.monotonic() + timeout * 60

    from sweeps.worker.process import run_worker_process

    quieten_optuna()
    run_worker_process(
        study,
        storage,
        device=device,
        threads=threads,
        name=name,
        seat=seat,
        data_dir=data_dir.absolute(),
        checkpoint_dir=None if checkpoint_dir is None else checkpoint_dir.absolute(),
        checkpoint_seconds=checkpoint_seconds,
        deadline=deadline,
    )
