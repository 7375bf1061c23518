"""Being asked to stop, and coming to an end in time, whatever the run waits for."""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

from storage import HardenedStorage
from sweeps.engines import Engine, SerialEngine
from sweeps.errors import STOP_PATIENCE_SECONDS, Stopped

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: How long workers have to put their trials away.
STOP_SECONDS = 9.0
#: When the main thread is taken to be held up, since it has not asked them to.
_HELD_UP_SECONDS = 2.0
#: When this process ends, whatever is left to do: after the first signal, and after the second.
_END_SECONDS = 14.0
_END_AT_ONCE_SECONDS = 7.0

_STEP_SECONDS = 0.2


class Stopping:
    """Collects the signals that ask for an end instead of dying of them, for the length of a block.

    The main thread does what they ask for. But Python's signal handlers run in that thread, and not
    while it waits inside of a database that is locked or hangs. So the kernel tells another thread
    of them too, which does what the main thread has not done in time, and ends the process in the
    end. What the workers were at is then queued again by the next run.

    Args:
        storage: is told not to wait for its database any more.

    Attributes:
        received: the signals, as they came in.
    """

    def __init__(self, storage: HardenedStorage) -> None:
        self.received: list[int] = []
        self._storage = storage
        self._engine: Engine | None = None
        # What the main thread did not do in time.
        self._done: set[str] = set()

    def over(self, engine: Engine) -> Engine:
        """The engine whose workers are to be stopped, to be used in place of it."""
        self._engine = SerialEngine(engine)
        return self._engine

    def __enter__(self) -> "Stopping":
        # What is ignored stays so: `nohup` and a shell's background jobs ask for that.
        heeded = [n for n in _SIGNALS if signal.getsignal(n) is not signal.SIG_IGN]
        self._before = {n: signal.signal(n, self._receive) for n in heeded}
        self._told, self._telling = os.pipe()
        os.set_blocking(self._telling, False)
        self._told_before = signal.set_wakeup_fd(self._telling, warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._see_through, name="stopping", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._told_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._telling)
        self._thread.join()
        os.close(self._told)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        self.received.append(number)

    def _see_through(self) -> None:
        """Do what is due and not done, from the first signal to the end of the block."""
        numbers: list[int] = []
        times: list[float] = []
        while True:
            pause = _STEP_SECONDS if times else None
            if select.select([self._told], [], [], pause)[0]:
                told = os.read(self._told, 64)
                if not told:
                    return
                numbers += [number for number in told if number in self._before]
                times += [time.monotonic()] * (len(numbers) - len(times))
            if times:
                # Who is asked to stop does not wait for a database that is away.
                self._storage.hurry(STOP_PATIENCE_SECONDS)
                self._do_what_is_due(numbers[0], times)

    def _do_what_is_due(self, number: int, times: list[float]) -> None:
        since_first = time.monotonic() - times[0]
        since_second = time.monotonic() - times[1] if len(times) > 1 else 0.0
        if self._engine is not None:
            if since_first > _HELD_UP_SECONDS:
                self._do_once("stop", self._engine.stop)
            if since_first > STOP_SECONDS + _HELD_UP_SECONDS or since_second > _HELD_UP_SECONDS:
                self._do_once("kill", self._engine.kill)
        if since_first > _END_SECONDS or since_second > _END_AT_ONCE_SECONDS:
            self._do_once("tell", _tell_of_end)
            time.sleep(_STEP_SECONDS)
            os._exit(128 + Stopped(number).signal)

    def _do_once(self, name: str, what: Callable[[], None]) -> None:
        """Do it in a thread of its own: it may be held up too."""
        if name not in self._done:
            self._done.add(name)
            threading.Thread(target=what, name=name, daemon=True).start()


def _tell_of_end() -> None:
    # The live view hides the cursor.
    before = "\x1b[?25h\n" if sys.stderr.isatty() else ""
    text = f"{before}sweeps: stopped, although something did not answer; run it again to go on\n"
    os.write(2, text.encode())
