"""A SLURM job's side of the SLURM engine: run a worker while the engine lives."""

import signal
import threading
import time
from pathlib import Path
from types import FrameType

from submitit.helpers import DelayedSubmission

from sweeps.engines.devices import Slot
from sweeps.engines.engine import WorkerPlan
from sweeps.engines.process import WorkerProcess

#: What the engine writes into its lifeline for the jobs; numbers mean that it lives.
STOP = "stop"
KILL = "kill"

#: How often a job starts a worker again that was killed, as for want of memory.
MAX_RESTARTS = 20

# SLURM's KillWait, between SIGTERM and SIGKILL, is half a minute unless its administrator says
# otherwise.
_AFTER_TERM_SECONDS = 60.0
_STOP_SECONDS = 30.0


class WorkerJob:
    """Runs a worker, and ends it when SLURM or the engine asks for that.

    The main thread handles signals and does nothing else, so that they never find a lock held.

    Args:
        plan: what the worker is to do.
        lifeline: the file by which the engine says that it lives.
        lifeline_seconds: the engine counts as dead when the file has not changed for so long.
    """

    def __init__(self, plan: WorkerPlan, lifeline: Path, lifeline_seconds: float) -> None:
        self._plan = plan
        self._lifeline = lifeline
        self._lifeline_seconds = lifeline_seconds
        self._status = 0
        self._last_line = ""
        self._is_preempted = False
        self._is_terminated = False
        self._must_kill = False
        self._stop_came_from_engine = False
        self._thread: threading.Thread | None = None

    def __call__(self, name: str, slot: Slot) -> tuple[int, str]:
        """Run a worker to its end; return its exit status and its last line."""
        signal.signal(signal.SIGTERM, self._terminate)
        self._thread = threading.Thread(target=self._run_workers, args=(name, slot))
        self._thread.start()
        try:
            while self._thread.is_alive():
                time.sleep(0.1)
            deadline = time.monotonic() + _AFTER_TERM_SECONDS
            while (
                self._is_terminated
                and not self._stop_came_from_engine
                and time.monotonic() < deadline
            ):
                # SLURM is about to end this job. A job that ended by itself is not requeued.
                time.sleep(0.1)
        finally:
            self._must_kill = True
        return self._status, self._last_line

    def checkpoint(self, name: str, slot: Slot) -> DelayedSubmission:
        """Stop the worker, which checkpoints its trial, and return what the requeued job runs.

        submitit calls it in the handler of the signal that announces preemption or the time limit.
        """
        self._is_preempted = True
        deadline = time.monotonic() + _STOP_SECONDS
        while self._thread is not None and self._thread.is_alive():
            time.sleep(0.1)
            self._must_kill = time.monotonic() > deadline
        job = WorkerJob(self._plan, self._lifeline, self._lifeline_seconds)
        return DelayedSubmission(job, name, slot)

    def _terminate(self, _number: int, _frame: FrameType | None) -> None:
        """Take note of SLURM's SIGTERM: of ``scancel``, or the first of a preemption."""
        self._is_terminated = True

    def _run_workers(self, name: str, slot: Slot) -> None:
        lifeline = _Lifeline(self._lifeline, self._lifeline_seconds)
        while not lifeline.was_seen_beating and not self._is_to_stop(lifeline):
            # The job may have waited in the queue for longer than the engine lived.
            time.sleep(0.2)
        restarts = 0
        while not self._is_to_stop(lifeline):
            self._status = self._run_worker(name, slot, lifeline)
            if self._status >= 0 or self._is_to_stop(lifeline) or restarts == MAX_RESTARTS:
                break
            restarts += 1
            print(f"{name}: was killed by signal {-self._status}; started again", flush=True)

    def _run_worker(self, name: str, slot: Slot, lifeline: "_Lifeline") -> int:
        try:
            process = WorkerProcess(
                self._plan.command(name, slot),
                self._plan.environment(),
                lambda line: print(f"{name}: {line}", flush=True),
            )
        except OSError as error:
            self._last_line = f"cannot be started: {error}"
            return 1
        was_asked = False
        while (status := process.wait(0.5)) is None:
            if self._is_to_stop(lifeline) and not was_asked:
                was_asked = True
                process.stop()
            if self._must_kill or lifeline.text == KILL:
                process.kill()
        self._last_line = process.last_line
        return status

    def _is_to_stop(self, lifeline: "_Lifeline") -> bool:
        lifeline.refresh()
        self._stop_came_from_engine = lifeline.text in (STOP, KILL) or lifeline.is_dead
        return (
            self._is_preempted
            or self._is_terminated
            or self._must_kill
            or self._stop_came_from_engine
        )


class _Lifeline:
    """The file by which a job knows that its engine lives, read over and over."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._path = path
        self._seconds = seconds
        self._changed = time.monotonic()
        self.text = self._read()
        self.was_seen_beating = False

    def refresh(self) -> None:
        text = self._read()
        if text != self.text:
            self.text, self._changed, self.was_seen_beating = text, time.monotonic(), True

    @property
    def is_dead(self) -> bool:
        return time.monotonic() - self._changed > self._seconds

    def _read(self) -> str:
        try:
            # Opening a file asks a network disk's server for its present content.
            return self._path.read_text()
        except OSError:
            return ""
