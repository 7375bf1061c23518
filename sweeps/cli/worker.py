"""``sweeps worker``."""

import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

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
from sweeps.errors import STOP_PATIENCE_SECONDS, Stopped

if TYPE_CHECKING:
    from optuna import Study

    from storage import HardenedStorage

#: How long a worker that was started by others waits for a server that is away.
_OPENING_SECONDS = 60.0
#: What a storage takes.
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
    supervised = bool(seat)
    stop = threading.Event()
    received: list[int] = []
    opened: list[HardenedStorage] = []

    def receive(number: int, _frame: FrameType | None) -> None:
        # Before it has a trial it ends at once, be it that it waits for its storage.
        if received or not opened:
            raise Stopped(number)
        received.append(number)
        stop.set()
        for each in opened:
            # Who is asked to stop does not wait for a database that is away.
            each.hurry(STOP_PATIENCE_SECONDS)
        if not supervised:
            click.echo(
                "Stopping: the trial is put away and queued again (again: at once)", err=True
            )

    signal.signal(signal.SIGTERM, receive)
    if supervised:
        from sweeps.worker.orphan import stop_with_parent

        # Ctrl-C is for the parent, which then says what to do.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        stop_with_parent(stop)
    else:
        for number in (signal.SIGINT, signal.SIGHUP):
            # What is ignored stays so: `nohup` and a shell's background jobs ask for that.
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, receive)

    from sweeps.engines.devices import available_cores, take_device

    taken = take_device(device, threads or available_cores())
    if threads is None:
        threads = _fair_share(storage, study)
        os.environ["OMP_NUM_THREADS"] = str(threads)

    # Only now what computes is imported: it heeds what was set for the device.
    from storage import StorageError, open_storage, open_study
    from sweeps.runner.naming import short_host
    from sweeps.worker.process import work

    quieten_optuna()
    # Started again while the server is, it waits; a person is told at once.
    opened.append(open_storage(storage, patience=_OPENING_SECONDS if supervised else 0.0))
    try:
        found = open_study(opened[0], study)
        work(
            opened[0],
            found,
            # Those that a shell starts at once see nothing of each other yet: no number would do.
            name=name or f"{short_host()}-pid{os.getpid()}",
            seat=seat,
            device=taken,
            device_label=taken if device == "auto" else device,
            threads=threads,
            data_dir=data_dir.absolute(),
            checkpoint_dir=None if checkpoint_dir is None else checkpoint_dir.absolute(),
            checkpoint_seconds=checkpoint_seconds,
            deadline=deadline,
            should_stop=stop.is_set,
            say=lambda text: click.echo(text, err=True),
        )
        if not (supervised or received):
            click.echo(f"{found.study_name}: {_how_far(found)}", err=True)
    except StorageError as error:
        if not received:
            raise
        click.echo(f"The trial is queued again by others: {error}", err=True)
    if received and not supervised:
        raise Stopped(received[0])


def _how_far(study: "Study") -> str:
    from storage import TARGET
    from sweeps.study.progress import count_finished

    finished = count_finished(study.get_trials(deepcopy=False))
    target = study.user_attrs.get(TARGET)
    return f"{finished} trials done" if target is None else f"{finished} of {target} trials done"


def _fair_share(storage: str, study: str | None) -> int:
    """The CPU threads of a worker, so that those of its study on this machine do not fight."""
    from storage import living_workers, open_storage, open_study
    from sweeps.engines.devices import available_cores

    opened = open_storage(storage)
    workers = living_workers(opened, open_study(opened, study)._study_id)
    others = sum(worker.is_here() for worker in workers)
    opened.engine.dispose()
    return max(1, available_cores() // (others + 1))
