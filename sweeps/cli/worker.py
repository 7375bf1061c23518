"""``sweeps worker``."""

import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from types import FrameType

import click

from sweeps.cli.console import quieten_optuna
from sweeps.cli.options import data_dir_option, option, storage_option, study_argument
from sweeps.errors import Stopped

_ORPHAN_SECONDS = 10.0


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
@click.option("--supervised", is_flag=True, hidden=True)
def command(
    study: str | None,
    storage: str,
    device: str,
    threads: int | None,
    name: str | None,
    timeout: float | None,
    data_dir: Path,
    supervised: bool,
) -> None:
    """Work on a study that exists, from any shell that reaches its storage.

    STUDY is the newest where it is left out.
    """
    deadline = None if timeout is None else time.monotonic() + timeout * 60
    stop = threading.Event()
    received: list[int] = []

    def receive(number: int, _frame: FrameType | None) -> None:
        if received:
            raise Stopped(number)
        received.append(number)
        stop.set()
        if not supervised:
            click.echo("Stopping: the trial is ended and queued again (again: at once)", err=True)

    signal.signal(signal.SIGTERM, receive)
    if supervised:
        # Ctrl-C is for the parent, which then says what to do.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_stop_as_orphan, args=(stop,), daemon=True).start()
    elif signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, receive)

    from sweeps.devices import available_cores, take_device

    threads = threads or available_cores()
    taken = take_device(device, threads)

    from storage import open_storage
    from sweeps.worker import run_worker

    quieten_optuna()
    run_worker(
        open_storage(storage),
        study,
        name=name or f"{socket.gethostname()}-{os.getpid()}",
        device=taken,
        device_label=taken if device == "auto" else device,
        threads=threads,
        data_dir=data_dir.absolute(),
        deadline=deadline,
        should_stop=stop.is_set,
    )
    if received and not supervised:
        raise Stopped(received[0])


def _stop_as_orphan(stop: threading.Event) -> None:
    """Stop when the parent is gone: its end of standard input then closes."""
    sys.stdin.read()
    stop.set()
    time.sleep(_ORPHAN_SECONDS)
    os._exit(1)
