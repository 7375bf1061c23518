"""What a run of these tests is to do, as it is handed to its process."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import sweeps.runner.supervisor
import sweeps.worker.loop
from storage import budget, workers
from sweeps.worker.loop import Heartbeat


@dataclass(frozen=True)
class ChaosSettings:
    """A run.

    Attributes:
        url: of the storage.
        folder: for the journal, the log and the checkpoints.
        workers: how many there are.
        target: trials with a result that the study is to have.
        seed: of the signals.
        kills: how many of them are to end a worker; 0 for none.
        epochs_per_signal: how many epochs the workers finish between two signals, on average.
        leave_suspended: whether suspended workers are never woken.
        sleeper: the configuration whose first worker suspends itself, for ever; empty for none.
        epoch_seconds: how long an epoch takes.
        retries: the study's.
        grace: seconds after which a silent, suspended worker is given up.
    """

    url: str
    folder: str
    workers: int = 8
    target: int = 50
    seed: int = 0
    kills: int = 0
    epochs_per_signal: int = 3
    leave_suspended: bool = False
    sleeper: str = ""
    epoch_seconds: float = 0.02
    retries: int = 4
    grace: float = 1.5

    @property
    def journal(self) -> Path:
        return Path(self.folder) / "journal"

    @property
    def log(self) -> Path:
        """What the processes have written."""
        return Path(self.folder) / "log"

    @property
    def checkpoints(self) -> Path:
        return Path(self.folder) / "checkpoints"

    def seat(self, name: str) -> str:
        """How the ids of a worker's processes begin."""
        return f"{name:.<16}"

    def to_text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> "ChaosSettings":
        return cls(**json.loads(text))


def hurry(grace: float) -> None:
    """Let this process, and those it forks, judge each other in seconds instead of minutes."""
    workers.GRACE_SECONDS = grace
    budget.GRACE_SECONDS = grace

    class QuickHeartbeat(Heartbeat):
        def __init__(self, storage, worker_id):
            super().__init__(storage, worker_id, seconds=grace / 5)

    sweeps.worker.loop.Heartbeat = QuickHeartbeat
    sweeps.worker.loop._RECLAIM_SECONDS = grace / 2
    sweeps.worker.loop._IDLE_SECONDS = 0.2
    sweeps.runner.supervisor._POLL_SECONDS = 0.1
    sweeps.runner.supervisor._RECLAIM_SECONDS = grace / 2
    sweeps.runner.supervisor._LINGER_SECONDS = 2 * grace
