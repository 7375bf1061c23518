"""What an engine is: the one thing to fill in for workers to run somewhere else."""

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
    """What the workers of a run are to do; it can be pickled and sent to another host.

    Attributes:
        study_name: the study to work on.
        storage_url: where the study is, valid from every host and working directory.
        data_dir: where the datasets are, absolute.
        checkpoint_dir: where unfinished trials are kept, absolute.
        checkpoint_seconds: between two checkpoints of a trial.
        ends_at: no trial is started after this, in seconds since 1970; ``None`` for no limit.
        prefix, first_number: of the workers' names.
        run_id: tells this run's workers from another's.
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

    def name(self, index: int) -> str:
        """What the worker in a slot is called, also when it is started again."""
        return f"{self.prefix}-{self.first_number + index}"

    def seat(self, name: str) -> str:
        """How the ids of the processes begin that are this worker, one after the other.

        By its id a worker's trials are known as its own: another run's may have the same name.
        """
        return hashlib.sha256(f"{self.run_id} {name}".encode()).hexdigest()[:16]

    def command(self, name: str, slot: Slot) -> list[str]:
        """The command line of a worker, to be run with :meth:`environment` added.

        It is to be asked for where and when the worker starts: it holds the interpreter of this
        process and the minutes that are left now.

        Args:
            name: what the worker is called.
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
        """What the worker's environment has beside its parent's.

        The storage's URL is here, not in the command line, which every user of a machine can read:
        it may hold a password.
        """
        return {STORAGE_VARIABLE: self.storage_url}


@dataclass(frozen=True)
class WorkerExit:
    """A worker that ended.

    Attributes:
        name: of the worker.
        status: its exit status; negative for the signal that killed it.
        last_words: the last line it wrote, if any.
    """

    name: str
    status: int
    last_words: str


class Engine(Protocol):
    """Starts a worker in every slot, and tells which ended.

    A new engine is a module or package that fills this in, and a line in
    :func:`sweeps.engines.make_engine`. What it can rely on: a worker is the process that
    :class:`WorkerPlan` spells out, :class:`sweeps.engines.process.WorkerProcess` runs it, and it
    gets its trials from the storage, so an engine knows nothing of trials. A worker ends with
    status 0 when the study is done, the time is up, or it was asked to stop by SIGTERM; it then
    leaves no trial running. It also stops by itself when its standard input is closed. What it
    must see to: that no worker outlives the engine's own process, however that ends.

    An engine never waits between restarts and does not judge whether one is worth it; where
    ``restarts_workers`` is false the supervisor does, and calls :meth:`restart`. All methods are
    called by one thread at a time; all but :meth:`stop` and :meth:`kill` by the main one.

    Attributes:
        restarts_workers: whether dead workers are started again by what is below the engine, as
            Ray does; :meth:`poll` then tells of those that will not be.
    """

    restarts_workers: bool

    def start(self) -> None:
        """Start a worker in every slot; called once.

        Raises:
            SweepsError: they cannot be started.
        """

    def poll(self) -> list[WorkerExit]:
        """The workers that ended for good since the last call; their slots are free.

        Called about twice a second; it must not block.
        """

    def restart(self, name: str) -> None:
        """Start a worker again in its slot, which is free.

        Args:
            name: of a worker that :meth:`poll` told of.
        """

    def stop(self) -> None:
        """Ask all workers to stop: their trials are kept and queued again. Does not wait."""

    def kill(self) -> None:
        """End all workers at once, wait for them, and let go of everything the engine holds.

        Called at the end of every run, also where nothing runs any more; may be called twice.
        """

    @property
    def running(self) -> int:
        """Workers that have not ended, or not been told of by :meth:`poll`."""
