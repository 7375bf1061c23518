"""``sweeps worker``."""

import os
import signal
import socket
import threading
import time
from pathlib import Path
from types import FrameType

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
from sweeps.errors import Stopped


@click.command("worker")
@study_argument
@storage_option
@option("--device", default="auto", show_default=True, help="auto, cpu, or one GPU as in cuda:0.")
@option("--threads", type=click.IntRange(min=1), help="CPU threads.  [default: all cores]")
@option("--name", help="What to call the worker.  [default: host and process]")
@option(
    "--timeout",
    type=click.FloatRange(min=0),
    metavar="MINUTES",
    help="Start no trial after so long.",
)
@data_dir_option
@checkpoint_dir_option
@checkpoint_seconds_option
@click.option("--supervised", is_flag=True, hidden=True)
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
    supervised: bool,
) -> None:
    """Work on a study that exists, from any shell that reaches its storage.

    STUDY is the newest where it is left out.
    """
    deadline = None if timeout is None else time.monotonic() + timeout * 60
    stop = threading.Event()
    received: list[int] = []

    def receive(number: int, _frame: FrameType | None) -> None:
        number = signal.SIGTERM if number == signal.SIGHUP else number
        if received:
            raise Stopped(number)
        received.append(number)
        stop.set()
        if not supervised:
            click.echo(
                "Stopping: the trial is put away and queued again (again: at once)", err=True
            )

    signal.signal(signal.SIGTERM, receive)
    if supervised:
        from sweeps.orphans import stop_with_parent

        # Ctrl-C is for the parent, which then says what to do.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        stop_with_parent(stop)
    else:
        for number in (signal.SIGINT, signal.SIGHUP):
            # What is ignored stays so: `nohup` and a shell's background jobs ask for that.
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, receive)

    from sweeps.devices import available_cores, take_device

    threads = threads or available_cores()
    taken = take_device(device, threads)

    from sweeps.working import work

    quieten_optuna()
    work(
        study,
        storage_url=storage,
        name=name or f"{socket.gethostname()}-{os.getpid()}",
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
    if received and not supervised:
        raise Stopped(received[0])
