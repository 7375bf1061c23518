"""The process that a Ray of our own belongs to.

``python -m sweeps.engines.ray.host SETTINGS FOLDER`` has :mod:`sweeps.engines.ray.head` start Ray,
passes on what that writes, and waits for its own standard input to close. Then it ends, and with it
all that Ray has started, however the run has ended. Ray's processes see to each other's end too,
but some need a minute for it.

It starts nothing but the head, so that nothing can begin while it ends everything.
"""

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import ray  # noqa: F401

# Which Ray brings along, and makes importable.
from psutil import STATUS_ZOMBIE, Error, Process  # type: ignore[import-untyped]

from sweeps.engines.engine import STORAGE_VARIABLE
from sweeps.engines.ray.protocol import AT_ONCE, END_SECONDS

_PUT_AWAY_SECONDS = 9.0
_PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    settings, folder = sys.argv[1:]
    _adopt_orphans()
    # By itself the signal would end this process and nothing else.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    head = subprocess.Popen(
        [sys.executable, "-m", "sweeps.engines.ray.head", settings, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    at_once = False
    try:
        at_once = _await_end(head)
    finally:
        _end(folder, at_once=at_once)


def _adopt_orphans() -> None:
    """Be the parent of all that descends from this process and loses its own."""
    # Elsewhere than on Linux, what Ray has started is left to Ray.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _await_end(head: subprocess.Popen[bytes]) -> bool:
    """Pass on what the head writes until it ends, or the run says that this is the end, or is gone.

    Returns:
        Whether the run has said that nothing is to be waited for.
    """
    assert head.stdout is not None
    while True:
        ready, _, _ = select.select([sys.stdin, head.stdout], [], [])
        if sys.stdin in ready:
            return sys.stdin.readline() == AT_ONCE
        words = os.read(head.stdout.fileno(), 4096)
        if not words:
            return False
        sys.stdout.buffer.write(words)
        sys.stdout.buffer.flush()


def _end(folder: str, *, at_once: bool) -> None:
    """End everything that Ray has started, and remove what it has written."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        if not at_once:
            _end_workers()
    finally:
        try:
            _kill_all()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _end_workers() -> None:
    """End all but the workers, who put their trials away when their actors are gone."""
    deadline = time.monotonic() + _PUT_AWAY_SECONDS
    while _kill_descendants(spare=_is_worker) and time.monotonic() < deadline:
        time.sleep(0.1)


def _kill_all() -> None:
    deadline = time.monotonic() + END_SECONDS
    while not _is_childless() and time.monotonic() < deadline:
        _kill_descendants()
        time.sleep(0.02)


def _is_childless() -> bool:
    """Whether nothing is left: who descends from this process is its child or a child's."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    except ChildProcessError:
        return True
    return False


def _kill_descendants(spare: Callable[[Process], bool] = lambda _: False) -> bool:
    """Kill what descends from this process, and tell whether something was spared."""
    spared = False
    for process in Process().children(recursive=True):
        with suppress(Error, OSError):
            if spare(process):
                spared = True
            else:
                process.kill()
    return spared


def _is_worker(process: Process) -> bool:
    return process.status() != STATUS_ZOMBIE and STORAGE_VARIABLE in process.environ()


if __name__ == "__main__":
    main()
