"""What a run of these tests is to do, as its processes find it in their environment."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

VARIABLE = "CHAOS_SETTINGS"
BASELINES = 10
EPOCHS = 6


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

    @property
    def spec(self) -> dict[str, Any]:
        """The spec of the study."""
        baselines = [
            {
                "name": f"baseline {index}",
                "set": {"options.x": index / BASELINES, "options.y": index + 1, "options.z": "a"},
            }
            for index in range(BASELINES)
        ]
        return {
            "name": "chaos",
            "objective": "tests.chaos.loop:train",
            "options": {"x": 0.5, "y": 1, "z": "a", "smaller": False},
            "metric": {"name": "score", "direction": "maximize"},
            "training": {"epochs": EPOCHS},
            "search": {
                "options.x": {"float": [0.0, 1.0]},
                "options.y": {"int": [1, 100]},
                "options.z": {"choice": ["a", "b"]},
            },
            "baselines": baselines,
            "budget": {"trials": BASELINES, "retries": self.retries},
            "sampler": {"name": "random"},
            "pruner": {"name": "median", "startup_trials": 10, "min_epochs": 3},
        }

    @property
    def environment(self) -> dict[str, str]:
        return {VARIABLE: json.dumps(asdict(self)), "OMP_NUM_THREADS": "1"}

    @classmethod
    def from_environment(cls) -> "ChaosSettings":
        return cls(**json.loads(os.environ[VARIABLE]))
