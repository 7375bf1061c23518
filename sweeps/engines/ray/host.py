"""The process that a Ray of our own belongs to: ``python -m sweeps.engines.ray.host SETTINGS``.

It starts Ray, writes where that is, and waits for its standard input to close. Then it ends, and
with it all that Ray has started, however the run has ended. Ray's processes see to each other's end
too, but some need a minute for it.
"""

import ctypes
import json
import logging
import os
import shutil
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import Any, NoReturn

import ray

# Which Ray brings along.
from psutil import Error, Process  # type: ignore[import-untyped]

#: Written to its standard input where no worker is left that is worth waiting for.
AT_ONCE = "at once\n"
#: What begins the line that it writes: where Ray is, or why it does not start.
TOLD = "ray: "
#: What only workers have in their environment.
WORKER_VARIABLE = "SWEEPS_STORAGE"
#: How long it takes to end, at most, where nothing is waited for.
END_SECONDS = 2.0

_OBJECT_STORE_BYTES = 80 * 2**20
_PUT_AWAY_SECONDS = 9.0
_PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    settings = json.loads(sys.argv[1])
    _adopt_orphans()
    # In a thread of its own, since the run may end while Ray starts, and Ray may hang then.
    threading.Thread(target=_await_end, args=(settings["folder"],), daemon=True).start()
    try:
        _start(settings)
        # Until _await_end ends this process, or a signal to it alone does.
        while True:
            signal.pause()
    finally:
        _end(settings["folder"], at_once=False)


def _start(settings: dict[str, Any]) -> None:
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
    except Exception as error:
        _tell(error=str(error) or type(error).__name__)
    else:
        _tell(address=ray.get_runtime_context().gcs_address)


def _tell(**words: str) -> None:
    print(f"{TOLD}{json.dumps(words)}", flush=True)


def _adopt_orphans() -> None:
    """Be the parent of all that descends from this process and loses its own."""
    # Elsewhere than on Linux, what Ray has started is left to Ray.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _await_end(folder: str) -> None:
    """Wait for the run to say that this is the end, or to be gone, and end then."""
    word = ""
    try:
        word = sys.stdin.readline()
    finally:
        _end(folder, at_once=word == AT_ONCE)


def _await_workers() -> None:
    """Let workers put their trials away: Ray ends their actors, and so tells them to."""
    deadline = time.monotonic() + _PUT_AWAY_SECONDS
    while time.monotonic() < deadline and any(_is_worker(process) for process in _descendants()):
        time.sleep(0.1)


def _is_worker(process: Process) -> bool:
    try:
        return WORKER_VARIABLE in process.environ()
    except (Error, OSError):
        return False


def _end(folder: str, *, at_once: bool) -> NoReturn:
    """End everything, this process last."""
    try:
        if not at_once:
            _await_workers()
    finally:
        try:
            _kill_all()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            # What Ray does at the end of Python would wait for processes that are gone.
            os._exit(0)


def _kill_all() -> None:
    deadline = time.monotonic() + END_SECONDS
    while (processes := _descendants()) and time.monotonic() < deadline:
        for process in processes:
            with suppress(Error):
                process.kill()
        time.sleep(0.02)


def _descendants() -> list[Process]:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    return Process().children(recursive=True)


if __name__ == "__main__":
    main()
