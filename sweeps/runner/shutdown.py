"""Shutdown: end a run in time once a signal asks for it, whatever the run waits for."""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Self

from storage import HardenedStorage
from sweeps.engines import Engine, WorkerExit
from sweeps.errors import STOP_PATIENCE_SECONDS, Stopped

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: How long workers have to checkpoint their trials.
STOP_SECONDS = 9.0
# After so long the main thread counts as blocked.
_BLOCKED_SECONDS = 2.0
# When this process ends, whatever is left to do: after the first signal, and after the second.
_END_SECONDS = 14.0
_END_AT_ONCE_SECONDS = 7.0

_STEP_SECONDS = 0.2


class Shutdown:
    """Collects the signals that ask for an end, for the length of a block.

    The main thread does what they ask for. But Python runs signal handlers in that thread, and not
    while it is blocked inside a locked or hanging database. So a second thread, which the kernel
    wakes on every signal, does what the main thread has not done in time, and finally ends the
    process. The next run queues again what the workers were doing.

    Args:
        storage: stops waiting for its database after a signal.

    Attributes:
        received: the signals in the order of their arrival.
    """

    def __init__(self, storage: HardenedStorage) -> None:
        self.received: list[int] = []
        self._storage = storage
        self._engine: Engine | None = None
        self._done: set[str] = set()

    def guard(self, engine: Engine) -> Engine:
        """Return the engine to use in place of one whose workers a shutdown stops."""
        self._engine = SerialEngine(engine)
        return self._engine

    def __enter__(self) -> Self:
        # An ignored signal stays ignored: `nohup` and a shell's background jobs ask for that.
        heeded = [n for n in _SIGNALS if signal.getsignal(n) is not signal.SIG_IGN]
        self._before = {n: signal.signal(n, self._receive) for n in heeded}
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        self._wake_before = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._watch, name="shutdown", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._wake_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._wake)
        self._thread.join()
        os.close(self._woken)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        self.received.append(number)

    def _watch(self) -> None:
        """Do what is overdue, from the first signal to the end of the block."""
        numbers: list[int] = []
        times: list[float] = []
        while True:
            pause = _STEP_SECONDS if times else None
            if select.select([self._woken], [], [], pause)[0]:
                woken = os.read(self._woken, 64)
                if not woken:
                    return
                numbers += [number for number in woken if number in self._before]
                times += [time.monotonic()] * (len(numbers) - len(times))
            if times:
                self._storage.hurry(STOP_PATIENCE_SECONDS)
                self._do_what_is_overdue(numbers[0], times)

    def _do_what_is_overdue(self, number: int, times: list[float]) -> None:
        since_first = time.monotonic() - times[0]
        since_second = time.monotonic() - times[1] if len(times) > 1 else 0.0
        if self._engine is not None:
            if since_first > _BLOCKED_SECONDS:
                self._do_once("stop", self._engine.stop)
            if since_first > STOP_SECONDS + _BLOCKED_SECONDS or since_second > _BLOCKED_SECONDS:
                self._do_once("kill", self._engine.kill)
        if since_first > _END_SECONDS or since_second > _END_AT_ONCE_SECONDS:
            self._do_once("print", _print_end)
            time.sleep(_STEP_SECONDS)
            os._exit(128 + Stopped(number).signal)

    def _do_once(self, name: str, action: Callable[[], None]) -> None:
        """Start an action in a thread of its own, because it may block too."""
        if name not in self._done:
            self._done.add(name)
            threading.Thread(target=action, name=name, daemon=True).start()


def _print_end() -> None:
    # The live view hides the cursor.
    before = "\x1b[?25h\n" if sys.stderr.isatty() else ""
    text = f"{before}sweeps: stopped, although something did not answer; run it again to resume\n"
    os.write(2, text.encode())


class SerialEngine:
    """Passes calls on to an engine, one at a time, from any thread; starts none after `kill`.

    Args:
        engine: does the work.
    """

    def __init__(self, engine: Engine) -> None:
        self.restarts_workers = engine.restarts_workers
        self._engine = engine
        self._lock = threading.Lock()
        self._is_active = False

    def start(self) -> None:
        with self._lock:
            self._is_active = True
            self._engine.start()

    def poll(self) -> list[WorkerExit]:
        with self._lock:
            return self._engine.poll() if self._is_active else []

    def restart(self, name: str) -> None:
        with self._lock:
            if self._is_active:
                self._engine.restart(name)

    def stop(self) -> None:
        with self._lock:
            if self._is_active:
                self._engine.stop()

    def kill(self) -> None:
        with self._lock:
            self._is_active = False
            self._engine.kill()

    @property
    def running(self) -> int:
        with self._lock:
            return self._engine.running
