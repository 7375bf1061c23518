"""The SLURM engine: a job for every slot, through submitit.

The engine and its jobs share nothing but a folder.
"""

import logging
import secrets
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError

from sweeps.engines.devices import Slot
from sweeps.engines.engine import WorkerExit, WorkerPlan
from sweeps.engines.process import KILL_SECONDS
from sweeps.engines.slurm_job import KILL, STOP, WorkerJob
from sweeps.errors import Survived, SweepsError

#: Jobs take the engine for dead when its lifeline has not changed for so long.
LIFELINE_SECONDS = 120.0

_BEAT_SECONDS = 2.0
_POLL_SECONDS = 2.0
_RESULT_SECONDS = 15.0
_DEFAULT_MINUTES = 240
_MAX_TIMEOUTS = 100
# What submitit's AutoExecutor takes without a prefix.
_SHARED = {"name", "timeout_min", "mem_gb", "cpus_per_task", "gpus_per_node", "stderr_to_stdout"}

_logger = logging.getLogger(__name__)


@dataclass
class _Submitted:
    """A worker's job.

    Attributes:
        job: the job.
        read: how much of its output was passed on, in characters.
        done_at: when it was first seen to be over without a result, by ``time.monotonic``.
    """

    job: submitit.Job[tuple[int, str]]
    read: int = 0
    was_cancelled: bool = False
    done_at: float | None = None


class SlurmEngine:
    """Runs a job for every slot; an :class:`sweeps.engines.Engine`.

    SLURM requeues jobs that it preempts or whose node fails; a job starts its worker again.

    Args:
        plan: what the workers are to do. Its ``checkpoint_dir`` is on a disk that all hosts share,
            and gets a folder for the jobs' logs.
        slots: one per worker.
        settings: for the jobs, by submitit's names: ``{"partition": "gpu", "mem_gb": 16}``.
        cluster: ``slurm``, or ``local`` for submitit's executor on this machine.
        lifeline_seconds: jobs end when they hear nothing of the engine for so long.
    """

    restarts_workers = True

    def __init__(
        self,
        plan: WorkerPlan,
        slots: Sequence[Slot],
        *,
        settings: Mapping[str, Any] | None = None,
        cluster: str = "slurm",
        lifeline_seconds: float = LIFELINE_SECONDS,
    ) -> None:
        self._plan = plan
        self._settings = dict(settings or {})
        self._cluster = cluster
        self._lifeline_seconds = lifeline_seconds
        self._slots = {plan.name(index): slot for index, slot in enumerate(slots)}
        self._submitted: dict[str, _Submitted] = {}
        run = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
        self._folder = plan.checkpoint_dir / "slurm-logs" / run
        self._executor: submitit.AutoExecutor | None = None
        self._lifeline: Lifeline | None = None
        self._last_poll = 0.0

    def start(self) -> None:
        # Nobody else may read it: the storage's URL is in the jobs' files.
        self._folder.mkdir(parents=True, mode=0o700)
        self._executor = self._make_executor()
        self._lifeline = Lifeline(self._folder / "lifeline")
        self._submit(list(self._slots))
        _logger.info("%d SLURM jobs are submitted, logs in %s", len(self._slots), self._folder)

    def poll(self) -> list[WorkerExit]:
        now = time.monotonic()
        if now - self._last_poll < _POLL_SECONDS:
            return []
        self._last_poll = now
        exits = []
        for name, submitted in list(self._submitted.items()):
            self._pass_on_lines(name, submitted)
            ended = self._find_exit(name, submitted, now)
            if ended is not None:
                exits.append(ended)
                del self._submitted[name]
        return exits

    def restart(self, name: str) -> None:
        self._submit([name])

    def stop(self) -> None:
        if self._lifeline is None:
            return
        self._lifeline.write(STOP)
        for submitted in self._submitted.values():
            if submitted.job.stdout() is None:
                # It still waits in the queue.
                submitted.job.cancel(check=False)
                submitted.was_cancelled = True

    def kill(self) -> None:
        if self._lifeline is None:
            return
        self._lifeline.write(KILL)
        jobs = [submitted.job for submitted in self._submitted.values()]
        for job in jobs:
            job.cancel(check=False)
        deadline = time.monotonic() + KILL_SECONDS
        while jobs and time.monotonic() < deadline:
            jobs = [job for job in jobs if not job.done(force_check=True)]
            time.sleep(0.2 if self._cluster == "local" else _POLL_SECONDS)
        if jobs:
            _logger.warning("SLURM has not ended %d jobs yet; it was asked to", len(jobs))
        self._submitted.clear()
        self._lifeline.close()
        self._lifeline = None

    @property
    def running(self) -> int:
        return len(self._submitted)

    def _make_executor(self) -> submitit.AutoExecutor:
        settings: dict[str, Any] = {
            "name": f"sweeps-{self._plan.study_name}",
            "cpus_per_task": max(slot.threads for slot in self._slots.values()),
            "timeout_min": _DEFAULT_MINUTES,
            **({"gpus_per_node": 1} if any(s.gpu_share for s in self._slots.values()) else {}),
            **self._settings,
        }
        if any(name in settings for name in ("gpus_per_task", "gres")):
            settings.pop("gpus_per_node", None)
        additional = {"requeue": True, **settings.pop("additional_parameters", {})}
        named = {k if k in _SHARED else f"slurm_{k}": v for k, v in settings.items()}
        named["slurm_additional_parameters"] = additional
        try:
            executor = submitit.AutoExecutor(
                self._folder, cluster=self._cluster, slurm_max_num_timeout=_MAX_TIMEOUTS
            )
            executor.update_parameters(**named)
        except (RuntimeError, NameError, ValueError, AssertionError) as error:
            reason = str(error).strip().splitlines()[0]
            raise SweepsError(f"--engine slurm: {reason}") from None
        return executor

    def _submit(self, names: list[str]) -> None:
        """Submit the jobs of some workers, as one array."""
        assert self._executor is not None
        job = WorkerJob(self._plan, self._folder / "lifeline", self._lifeline_seconds)
        try:
            jobs = self._executor.map_array(job, names, [self._slots[name] for name in names])
        except (FailedJobError, FailedSubmissionError) as error:
            reason = " ".join(str(error).split())
            raise SweepsError(f"--engine slurm: sbatch refused the jobs: {reason}") from None
        self._submitted |= {n: _Submitted(job) for n, job in zip(names, jobs, strict=True)}

    def _find_exit(self, name: str, submitted: _Submitted, now: float) -> WorkerExit | None:
        job = submitted.job
        if job.paths.result_pickle.exists():
            try:
                return WorkerExit(name, *job.result())
            except FailedJobError:
                return WorkerExit(name, 1, f"job {job.job_id} failed; see {job.paths.stderr}")
        if submitted.was_cancelled:
            return WorkerExit(name, 0, "")
        if submitted.done_at is None and job.done():
            submitted.done_at = now
        # A network disk may show the result later than SLURM tells of the end.
        if submitted.done_at is None or now - submitted.done_at < _RESULT_SECONDS:
            return None
        words = f"SLURM ended job {job.job_id}; see {job.paths.stderr}"
        return WorkerExit(name, -signal.SIGKILL, words)

    def _pass_on_lines(self, name: str, submitted: _Submitted) -> None:
        try:
            text = (submitted.job.stdout() or "")[submitted.read :]
        except (OSError, UnicodeDecodeError):
            # A network disk that is unavailable, or a character that is half written.
            return
        whole = text[: text.rfind("\n") + 1]
        submitted.read += len(whole)
        for line in whole.splitlines():
            # submitit writes there too.
            if line.startswith(f"{name}: "):
                _logger.info("%s", line)


class Lifeline:
    """A file that changes every two seconds while the engine lives, or tells jobs what to do.

    Args:
        path: the file; its folder exists.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._order = ""
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._survived = Survived(__name__, "the lifeline of the jobs cannot be written")
        self.write("")
        self._thread = threading.Thread(target=self._beat, name="lifeline", daemon=True)
        self._thread.start()

    def write(self, order: str, beat: int = 0) -> None:
        """Write an order for all jobs, ``STOP`` or ``KILL``; without one, a number."""
        with self._lock:
            self._order = order or self._order
            beside = self._path.with_suffix(".new")
            try:
                beside.write_text(self._order or str(beat))
                beside.replace(self._path)
            except OSError as error:
                # A network disk may come back: jobs wait a while, and the next beat follows.
                self._survived.note(error)
            else:
                self._survived.note(None)

    def close(self) -> None:
        """Write no more; the last order stays."""
        self._closed.set()
        self._thread.join()

    def _beat(self) -> None:
        beat = 0
        while not self._closed.wait(_BEAT_SECONDS):
            beat += 1
            self.write("", beat)
