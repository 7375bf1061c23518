"""Workers as jobs of a SLURM array, through submitit.

Jobs and engine meet in a shared folder alone.
"""

import pickle
import secrets
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError

from sweeps.engines.devices import Slot
from sweeps.engines.engine import WorkerExit, WorkerPlan
from sweeps.engines.lifeline import LifelineWriter
from sweeps.engines.process import KILL_SECONDS
from sweeps.engines.slurm.job import WorkerJob
from sweeps.errors import SweepsError

#: Jobs think that the engine is gone when they hear nothing of it for so long.
LIFELINE_SECONDS = 120.0

_DEFAULT_MINUTES = 240
_MAX_TIMEOUTS = 100
_POLL_SECONDS = 2.0
_STATE_SECONDS = 30.0
_RESULT_SECONDS = 15.0
_TERMINAL = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
    *("OUT_OF_MEMORY", "TIMEOUT", "REVOKED"),
    # As submitit's local executor calls them.
    *("FINISHED", "INTERRUPTED"),
}
# What submitit's AutoExecutor takes without a prefix.
_SHARED = {"name", "timeout_min", "mem_gb", "cpus_per_task", "gpus_per_node", "stderr_to_stdout"}


@dataclass
class _Seat:
    name: str
    slot: Slot
    job: submitit.Job[tuple[int, str]] | None = None
    cancelled: bool = False
    read: int = 0
    ended_at: float | None = None


class SlurmEngine:
    """Starts a job for every slot; SLURM starts those again that it preempts or whose node fails.

    Args:
        plan: what the workers are to do. Its ``checkpoint_dir`` is on a disk that all hosts share;
            a folder for jobs' logs is made in it.
        slots: a worker each.
        say: called with each line that a worker writes.
        settings: for the jobs, by submitit's names: ``{"partition": "gpu", "mem_gb": 16}``.
        cluster: ``slurm``, or ``local`` for submitit's stand-in, which uses this machine.
        lifeline_seconds: jobs end when they hear nothing of the engine for so long.
    """

    restarts_workers = True

    def __init__(
        self,
        plan: WorkerPlan,
        slots: Sequence[Slot],
        say: Callable[[str], None],
        *,
        settings: Mapping[str, Any] | None = None,
        cluster: str = "slurm",
        lifeline_seconds: float = LIFELINE_SECONDS,
    ) -> None:
        self._plan = plan
        self._say = say
        self._settings = dict(settings or {})
        self._cluster = cluster
        self._lifeline_seconds = lifeline_seconds
        seats = [_Seat(plan.name(index), slot) for index, slot in enumerate(slots)]
        self._seats = {seat.name: seat for seat in seats}
        run = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
        self._folder = plan.checkpoint_dir / "slurm-logs" / run
        self._executor: submitit.AutoExecutor | None = None
        self._lifeline: LifelineWriter | None = None
        self._polled = self._asked = 0.0

    def start(self) -> None:
        """Submit the jobs, as one array.

        Raises:
            SweepsError: SLURM is not here, or does not take the settings.
        """
        # Nobody else reads it: the storage's URL is in the jobs' files.
        self._folder.mkdir(parents=True, mode=0o700)
        self._executor = self._make_executor()
        self._lifeline = LifelineWriter(self._folder / "lifeline")
        seats = list(self._seats.values())
        for seat, job in zip(seats, self._submit(seats), strict=True):
            seat.job = job
        self._say(f"{len(seats)} SLURM jobs are submitted, their logs in {self._folder}")

    def poll(self) -> list[WorkerExit]:
        """The workers whose jobs ended and are not requeued; looks every two seconds."""
        now = time.monotonic()
        if now - self._polled < _POLL_SECONDS:
            return []
        self._polled = now
        seats = [seat for seat in self._seats.values() if seat.job is not None]
        states = self._states(seats, now)
        exits = []
        for seat in seats:
            self._pass_on_lines(seat)
            ended = self._find_exit(seat, states.get(seat.name), now)
            if ended is not None:
                exits.append(ended)
                seat.job = None
        return exits

    def restart(self, name: str) -> None:
        """Submit a job for a slot that is free."""
        seat = self._seats[name]
        if seat.job is not None:
            raise ValueError(f"{name} still has its slot")
        seat.cancelled, seat.read, seat.ended_at = False, 0, None
        (seat.job,) = self._submit([seat])

    def stop(self) -> None:
        """Ask all workers to stop; jobs that still wait in the queue are cancelled."""
        assert self._lifeline is not None
        self._lifeline.stop_all()
        for seat in self._seats.values():
            if seat.job is not None and not seat.job.paths.stdout.exists():
                seat.job.cancel(check=False)
                seat.cancelled = True

    def kill(self) -> None:
        """End all jobs at once, and wait for them."""
        if self._lifeline is None:
            return
        seats = [seat for seat in self._seats.values() if seat.job is not None]
        self._lifeline.kill_all()
        for seat in seats:
            assert seat.job is not None
            seat.job.cancel(check=False)
        deadline = time.monotonic() + KILL_SECONDS
        while seats and time.monotonic() < deadline:
            self._asked = 0.0
            now = time.monotonic()
            states = self._states(seats, now)
            seats = [s for s in seats if not _is_terminal(states.get(s.name)) and not _result(s)]
            time.sleep(0.2 if self._cluster == "local" else _POLL_SECONDS)
        if seats:
            self._say(f"SLURM has not ended {len(seats)} jobs yet; it was asked to")
        for seat in self._seats.values():
            seat.job = None
        self._lifeline.close()
        self._lifeline = None

    @property
    def running(self) -> int:
        """Workers that have not ended, or not been told of by :meth:`poll`."""
        return sum(seat.job is not None for seat in self._seats.values())

    def _make_executor(self) -> submitit.AutoExecutor:
        slots = [seat.slot for seat in self._seats.values()]
        settings: dict[str, Any] = {
            "name": f"sweeps-{self._plan.study_name}",
            "cpus_per_task": max(slot.threads for slot in slots),
            "timeout_min": _DEFAULT_MINUTES,
            **({"gpus_per_node": 1} if any(slot.gpu_share for slot in slots) else {}),
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

    def _submit(self, seats: list[_Seat]) -> list[submitit.Job[tuple[int, str]]]:
        assert self._executor is not None
        job = WorkerJob(self._plan, self._folder / "lifeline", self._lifeline_seconds)
        try:
            return self._executor.map_array(
                job, [seat.name for seat in seats], [seat.slot for seat in seats]
            )
        except (FailedJobError, FailedSubmissionError) as error:
            reason = " ".join(str(error).split())
            raise SweepsError(f"--engine slurm: sbatch refused the jobs: {reason}") from None

    def _states(self, seats: list[_Seat], now: float) -> dict[str, str]:
        """What SLURM says of the jobs, asked every half minute; nothing in between."""
        if not seats or (now - self._asked < _STATE_SECONDS and self._cluster != "local"):
            return {}
        self._asked = now
        states: dict[str, str] = {}
        for seat in seats:
            assert seat.job is not None
            # One question to sacct is answered for all jobs.
            info = seat.job.get_info(mode="cache" if states else "force")
            states[seat.name] = info.get("State") or info.get("jobState") or "UNKNOWN"
        return states

    def _find_exit(self, seat: _Seat, state: str | None, now: float) -> WorkerExit | None:
        result = _result(seat)
        if result is not None:
            return WorkerExit(seat.name, *result)
        if seat.cancelled:
            return WorkerExit(seat.name, 0, "")
        if _is_terminal(state) and seat.ended_at is None:
            seat.ended_at = now
        # The result's file may come later than the news, through a network disk's cache.
        if seat.ended_at is None or now - seat.ended_at < _RESULT_SECONDS:
            return None
        assert seat.job is not None
        words = f"SLURM ended job {seat.job.job_id}; see {seat.job.paths.stderr}"
        return WorkerExit(seat.name, -signal.SIGKILL, words)

    def _pass_on_lines(self, seat: _Seat) -> None:
        assert seat.job is not None
        try:
            with seat.job.paths.stdout.open("rb") as log:
                log.seek(seat.read)
                text = log.read()
        except OSError:
            return
        whole = text[: text.rfind(b"\n") + 1]
        seat.read += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            # submitit writes there too.
            if line.startswith(f"{seat.name}: "):
                self._say(line)


def _result(seat: _Seat) -> tuple[int, str] | None:
    """Exit status and last words, where the job has left them."""
    assert seat.job is not None
    try:
        outcome, result = pickle.loads(seat.job.paths.result_pickle.read_bytes())
    except (OSError, EOFError):
        return None
    if outcome == "success":
        return result
    return 1, str(result).strip().splitlines()[-1]


def _is_terminal(state: str | None) -> bool:
    # sacct writes "CANCELLED by 1000".
    return state is not None and state.split()[0].rstrip("+") in _TERMINAL
