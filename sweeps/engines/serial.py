"""An engine that is called by one thread at a time."""

import threading

from sweeps.engines.engine import Engine, WorkerExit


class SerialEngine:
    """Passes calls on to an engine, one after another, from whichever thread they come.

    Its workers are asked to stop once, however often that is called: a worker that is asked twice
    ends at once.

    Args:
        engine: fills in all there is to it.
    """

    def __init__(self, engine: Engine) -> None:
        self.restarts_workers = engine.restarts_workers
        self._engine = engine
        self._lock = threading.Lock()
        self._runs = False
        self._was_stopped = False

    def start(self) -> None:
        with self._lock:
            self._runs = True
            self._engine.start()

    def poll(self) -> list[WorkerExit]:
        with self._lock:
            return self._engine.poll() if self._runs else []

    def restart(self, name: str) -> None:
        with self._lock:
            if self._runs:
                self._engine.restart(name)

    def stop(self) -> None:
        with self._lock:
            if self._runs and not self._was_stopped:
                self._was_stopped = True
                self._engine.stop()

    def kill(self) -> None:
        with self._lock:
            self._runs = False
            self._engine.kill()

    @property
    def running(self) -> int:
        with self._lock:
            return self._engine.running
