"""That no worker outlives the process that started it, however that ends."""

import ctypes
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1
_SECONDS = 10.0


def stop_with_parent(stop: threading.Event) -> None:
    """Stop when the parent is gone: its end of this process's standard input then closes.

    A process that does not get round to it within ten seconds is ended.

    Args:
        stop: set when the parent is gone.
    """
    _wake_with_parent()
    threading.Thread(target=_wait_for_end, args=(stop,), name="orphan", daemon=True).start()


def _wait_for_end(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()
    time.sleep(_SECONDS)
    os._exit(1)


def _wake_with_parent() -> None:
    """Let the kernel wake this process, should it be suspended, when its parent ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGCONT)
