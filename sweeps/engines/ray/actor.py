"""What a Ray actor does: it runs the same worker command as every engine does, on its GPU."""

import queue
import threading
from dataclasses import replace

import ray

from sweeps.engines.devices import Slot
from sweeps.engines.engine import WorkerPlan
from sweeps.engines.process import KILL_SECONDS, WorkerProcess

#: How often Ray starts a worker again, be it that the worker was killed or its host went away.
MAX_RESTARTS = 20

_LINES_SECONDS = 5.0


class WorkerKilled(Exception):
    """A worker was killed by a signal; Ray then calls :meth:`WorkerActor.run` again.

    Attributes:
        number: of the signal.
        last_words: the last line it wrote.
    """

    def __init__(self, number: int, last_words: str) -> None:
        super().__init__(number, last_words)
        self.number = number
        self.last_words = last_words


class WorkerActor:
    """Runs a worker on the device that Ray gave this actor.

    Each method runs in a thread of its own, at most four at a time.
    """

    def __init__(self, plan: WorkerPlan, name: str, slot: Slot) -> None:
        self._plan = plan
        self._name = name
        # Ray shows this process its own GPU alone.
        self._slot = replace(slot, device="cuda:0") if slot.gpu_share else slot
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._process: WorkerProcess | None = None
        self._stopping = False
        self._is_over = False

    @ray.method(max_task_retries=MAX_RESTARTS, retry_exceptions=[WorkerKilled])
    def run(self) -> tuple[int, str]:
        """Start the worker and wait for its end.

        Returns:
            Its exit status and its last words.

        Raises:
            WorkerKilled: it was killed by a signal, and nobody here had asked for its end.
        """
        with self._lock:
            if self._stopping:
                self._is_over = True
                return 0, ""
            command = self._plan.command(self._name, self._slot)
            try:
                process = WorkerProcess(command, self._plan.environment(), self._lines.put)
            except OSError as error:
                self._is_over = True
                return 1, f"cannot be started: {error}"
            self._process = process
        while (status := process.wait(_LINES_SECONDS)) is None:
            pass
        if status < 0 and not self._stopping:
            self._lines.put(f"was killed by signal {-status}; Ray starts it again")
            raise WorkerKilled(-status, process.last_words)
        self._is_over = True
        self._lines.put(None)
        return status, process.last_words

    def lines(self) -> list[str]:
        """What the worker has written since the last call; waits a little for the first line."""
        taken: list[str] = []
        try:
            line = self._lines.get(timeout=0 if self._is_over else _LINES_SECONDS)
            while line is not None:
                taken.append(line)
                line = self._lines.get_nowait()
        except queue.Empty:
            pass
        return taken

    def stop(self) -> None:
        """Ask the worker to stop."""
        with self._lock:
            asked, self._stopping = self._stopping, True
            if self._process is not None and not asked:
                self._process.stop()

    def kill(self) -> None:
        """End the worker at once and wait for that."""
        with self._lock:
            self._stopping = True
            if self._process is not None:
                self._process.kill()
                self._process.wait(KILL_SECONDS)
