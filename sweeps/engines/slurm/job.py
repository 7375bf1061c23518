"""What a SLURM job does: it runs the same worker command as every engine does."""

import signal
import threading
import time
from pathlib import Path
from types import FrameType

from submitit.helpers import DelayedSubmission

from sweeps.engines.devices import Slot
from sweeps.engines.engine import WorkerPlan
from sweeps.engines.lifeline import LifelineReader
from sweeps.engines.process import WorkerProcess

#: How often a job starts a worker again that was killed, as by the kernel for want of memory.
MAX_RESTARTS = 20

# SLURM's KillWait, between SIGTERM and SIGKILL, is half a minute unless its administrator says
# otherwise.
_AFTER_TERM_SECONDS = 60.0
_STOP_SECONDS = 30.0


class WorkerJob:
    """What a job does: run a worker, and end it when SLURM or the engine says so.

    Signals are handled in the main thread, which does nothing else; all the rest is in another,
    so that a signal finds no lock held.

    Args:
        plan: what the workers are to do.
        lifeline: the file by which the engine says that it lives.
        lifeline_seconds: how long to wait for a sign of it.
    """

    def __init__(self, plan: WorkerPlan, lifeline: Path, lifeline_seconds: float) -> None:
        self._plan = plan
        self._lifeline = lifeline
        self._lifeline_seconds = lifeline_seconds
        self._status = 0
        self._last_words = ""
        self._stopping = False
        self._killing = False
        self._terminated = False
        self._told = False
        self._thread: threading.Thread | None = None

    def __call__(self, name: str, slot: Slot) -> tuple[int, str]:
        """Run a worker to its end.

        Returns:
            Its exit status and its last words.
        """
        signal.signal(signal.SIGTERM, self._terminate)
        self._thread = threading.Thread(target=self._work, args=(name, slot))
        self._thread.start()
        try:
            while self._thread.is_alive():
                time.sleep(0.1)
            deadline = time.monotonic() + _AFTER_TERM_SECONDS
            while self._terminated and not self._told and time.monotonic() < deadline:
                # SLURM is about to end this job. One that ended by itself is not requeued.
                time.sleep(0.1)
        finally:
            self._killing = True
        return self._status, self._last_words

    def checkpoint(self, name: str, slot: Slot) -> DelayedSubmission:
        """Stop the worker, which keeps its trial, and say what the requeued job shall do.

        submitit calls it in the handler of the signal that announces preemption or the time limit.
        """
        self._stopping = True
        deadline = time.monotonic() + _STOP_SECONDS
        while self._thread is not None and self._thread.is_alive():
            time.sleep(0.1)
            self._killing = time.monotonic() > deadline
        return DelayedSubmission(
            WorkerJob(self._plan, self._lifeline, self._lifeline_seconds), name, slot
        )

    def _terminate(self, _number: int, _frame: FrameType | None) -> None:
        """SLURM's SIGTERM: of ``scancel``, or the first of a preemption."""
        self._terminated = True

    def _work(self, name: str, slot: Slot) -> None:
        lifeline = LifelineReader(self._lifeline, self._lifeline_seconds)
        while not lifeline.is_beating and not self._is_to_stop(lifeline):
            # The job may have waited in the queue for longer than the engine lived.
            time.sleep(0.2)
            lifeline.refresh()
        restarts = 0
        while not self._is_to_stop(lifeline):
            self._status = self._run_worker(name, slot, lifeline)
            if self._status >= 0 or self._is_to_stop(lifeline) or restarts == MAX_RESTARTS:
                break
            restarts += 1
            print(f"{name}: was killed by signal {-self._status}; started again", flush=True)

    def _run_worker(self, name: str, slot: Slot, lifeline: LifelineReader) -> int:
        try:
            process = WorkerProcess(
                self._plan.command(name, slot),
                self._plan.environment(),
                lambda line: print(f"{name}: {line}", flush=True),
            )
        except OSError as error:
            self._last_words = f"cannot be started: {error}"
            return 1
        asked = False
        while (status := process.wait(0.5)) is None:
            lifeline.refresh()
            if self._is_to_stop(lifeline) and not asked:
                asked = True
                if self._terminated:
                    # SLURM sends its SIGTERM to the worker too, to which a second says: at once.
                    process.close_input()
                else:
                    process.stop()
            if self._killing or lifeline.says_kill:
                process.kill()
        self._last_words = process.last_words
        return status

    def _is_to_stop(self, lifeline: LifelineReader) -> bool:
        self._told = lifeline.says_stop
        return self._stopping or self._killing or self._terminated or self._told
