"""The process that a Ray of our own belongs to: ``python -m sweeps.engines.ray.host SETTINGS``.

It starts Ray, writes the address, and waits for its standard input to close. Then it ends, and with
it all that Ray has started, however the run has ended. Ray's processes see to each other's end too,
but some need a minute for it.
"""

import ctypes
import json
import logging
import os
import shutil
import signal
import sys
import time
from contextlib import suppress

import ray

# Which Ray brings along.
from psutil import NoSuchProcess, Process  # type: ignore[import-untyped]

#: Written to its standard input where no worker is left that is worth waiting for.
AT_ONCE = "at once\n"
#: What only workers have in their environment.
WORKER_VARIABLE = "SWEEPS_STORAGE"

_OBJECT_STORE_BYTES = 80 * 2**20
_PUT_AWAY_SECONDS = 9.0
_END_SECONDS = 5.0
_PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    settings = json.loads(sys.argv[1])
    _adopt_orphans()
    word = ""
    try:
        ray.init(
            address="local",
            num_cpus=settings["cpus"],
            num_gpus=settings["gpus"],
            object_store_memory=_OBJECT_STORE_BYTES,
            include_dashboard=False,
            _node_ip_address=settings["ip_address"],
            _temp_dir=settings["folder"],
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
        print(json.dumps({"address": ray.get_runtime_context().gcs_address}), flush=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        word = sys.stdin.readline()
    finally:
        if word != AT_ONCE:
            _await_workers()
        _kill_all()
        shutil.rmtree(settings["folder"], ignore_errors=True)
        # What Ray does at the end of Python would wait for processes that are gone.
        os._exit(0 if word == AT_ONCE else 1)


def _adopt_orphans() -> None:
    """Be the parent of all that descends from this process and loses its own."""
    # Elsewhere than on Linux, what Ray has started is left to Ray.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _await_workers() -> None:
    """Let workers put their trials away: Ray ends their actors, and so tells them to."""
    deadline = time.monotonic() + _PUT_AWAY_SECONDS
    while time.monotonic() < deadline and any(_is_worker(process) for process in _descendants()):
        time.sleep(0.1)


def _is_worker(process: Process) -> bool:
    try:
        return WORKER_VARIABLE in process.environ()
    except (NoSuchProcess, OSError):
        return False


def _kill_all() -> None:
    deadline = time.monotonic() + _END_SECONDS
    while time.monotonic() < deadline:
        processes = _descendants()
        if not processes:
            return
        for process in processes:
            with suppress(NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        time.sleep(0.05)


def _descendants() -> list[Process]:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    return Process().children(recursive=True)


if __name__ == "__main__":
    main()
