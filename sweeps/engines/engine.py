"""The interface of engines: what to implement for workers to run somewhere else."""

import hashlib
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sweeps.engines.devices import Slot

#: Tells a worker where its study is.
STORAGE_VARIABLE = "SWEEPS_STORAGE"


@dataclass(frozen=True)
class WorkerPlan:
    """What the workers of a run are to do. It can be pickled and sent to another host.

    Attributes:
        study_name: the study to work on.
        storage_url: where the study is, valid from every host and working directory.
        data_dir: the folder of the datasets, absolute.
        checkpoint_dir: the folder of checkpoints, absolute.
        checkpoint_seconds: between two checkpoints of a trial.
        ends_at: no trial is started after this, in seconds since 1970; ``None`` for no limit.
        prefix, first_number: of the workers' names: ``node7-0``, ``node7-1`` and so on.
        run_id: tells this run's workers from another's.
        preload: a module that imports what workers on a CPU need; see
            :mod:`sweeps.engines.forkserver`.
    """

    study_name: str
    storage_url: str
    data_dir: Path
    checkpoint_dir: Path
    checkpoint_seconds: float
    ends_at: float | None
    prefix: str = "worker"
    first_number: int = 0
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    preload: str = "sweeps.worker.preload"

    def name(self, index: int) -> str:
        """Return the name of the worker in a slot, which it keeps when it is started again."""
        return f"{self.prefix}-{self.first_number + index}"

    def seat(self, name: str) -> str:
        """Return how the ids of a worker's processes begin, one process after the other.

        The id tells a worker's trials from those of another run's worker of the same name.
        """
        return hashlib.sha256(f"{self.run_id} {name}".encode()).hexdigest()[:16]

    def command(self, name: str, slot: Slot) -> list[str]:
        """Return the command line of a worker, to be run with :meth:`environment` added.

        Call it where and when the worker starts, because it names the interpreter of this process
        and the minutes that are left now.

        Args:
            name: the worker's.
            slot: its device and threads.
        """
        command = [sys.executable, "-m", "sweeps", "worker"]
        command += ["--data-dir", str(self.data_dir), "--checkpoint-dir", str(self.checkpoint_dir)]
        command += ["--checkpoint-seconds", str(self.checkpoint_seconds)]
        command += ["--name", name, "--device", slot.device, "--threads", str(slot.threads)]
        command += ["--seat", self.seat(name)]
        if self.ends_at is not None:
            command += ["--timeout", f"{max(self.ends_at - time.time(), 0) / 60:.4f}"]
        # A study's name may begin with a dash.
        return [*command, "--", self.study_name]

    def environment(self) -> dict[str, str]:
        """Return the variables to add to the worker's environment.

        The storage's URL is among them, because it may hold a password, and every user of a
        machine can read the command lines of its processes.
        """
        return {STORAGE_VARIABLE: self.storage_url}


@dataclass(frozen=True)
class WorkerExit:
    """A worker that ended.

    Attributes:
        name: of the worker.
        status: its exit status; negative for the signal that killed it.
        last_line: the last line it wrote, if any.
    """

    name: str
    status: int
    last_line: str


class Engine(Protocol):
    """Starts a worker in every slot, and reports those that ended.

    A new engine is a module with such a class, and its line in
    :func:`sweeps.engines.make_engine`. A worker is the command of :class:`WorkerPlan`, run by
    :class:`sweeps.engines.process.WorkerProcess`. It gets its trials from the storage, so an engine
    knows nothing of trials. A worker ends with status 0 when the study is done, the time is up, or
    SIGTERM asked it to stop; it then leaves no trial running. It also stops when its standard input
    closes. An engine has to make sure that no worker outlives the engine's own process, however
    that ends. It logs each line that a worker writes as ``NAME: LINE``.

    All methods are called by one thread at a time; all but :meth:`stop` and :meth:`kill` by the
    main thread.

    Attributes:
        restarts_workers: whether something below the engine restarts dead workers, as SLURM's jobs
            do. :meth:`poll` then returns those that will not be, and the supervisor restarts none.
    """

    restarts_workers: bool

    def start(self) -> None:
        """Start a worker in every slot; called once.

        Raises:
            SweepsError: they cannot be started.
        """

    def poll(self) -> list[WorkerExit]:
        """Return the workers that ended since the last call; their slots are free.

        Called about twice a second; it must not block.
        """

    def restart(self, name: str) -> None:
        """Start a worker again that :meth:`poll` has returned."""

    def stop(self) -> None:
        """Ask all workers to checkpoint their trials and stop, without waiting."""

    def kill(self) -> None:
        """Kill all workers, wait for them, and release everything the engine holds.

        Called at the end of every run, even where nothing runs any more, and perhaps twice.
        """

    @property
    def running(self) -> int:
        """The number of workers that :meth:`poll` has not returned."""
