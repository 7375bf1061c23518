"""Where a study stands, as plain values."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from storage import WorkerRecord
from sweeps.reporting.events import best_of, iso_time, plain
from sweeps.study.progress import Progress

_OUTCOMES = ("completed", "pruned", "diverged", "failed", "interrupted", "lost", "out_of_memory")


def state_of(progress: Progress, where: str) -> dict[str, Any]:
    """A study at one moment, as JSON has it.

    Args:
        progress: the study.
        where: the storage, as a person knows it.
    """
    states = Counter(trial.state.name.lower() for trial in progress.trials)
    target = progress.target
    left = None if target is None else max(target - progress.finished, 0)
    state = {
        "time": iso_time(datetime.now(UTC)),
        "study": progress.study_name,
        "storage": where,
        "metric": progress.metric,
        "direction": progress.direction,
        "done": progress.is_done,
        "budget": {"target": target, "finished": progress.finished, "left": left},
        "trials": {
            **{outcome: progress.outcomes[outcome] for outcome in _OUTCOMES},
            "running": progress.running,
            "waiting": states["waiting"],
        },
        "best": best_of(progress),
        "workers": [_worker(worker) for worker in progress.workers],
    }
    plain_state: dict[str, Any] = plain(state)
    return plain_state


def _worker(worker: WorkerRecord) -> dict[str, Any]:
    return {
        "worker": worker.name,
        "host": worker.host,
        "pid": worker.pid,
        "device": worker.device,
        "trial": worker.trial_number,
        "epoch": worker.epoch,
        "epochs": worker.epochs,
        "value": worker.value,
        "started": _moment(worker.started),
        "last_seen": _moment(worker.last_seen),
    }


def _moment(seconds: float) -> str:
    return iso_time(datetime.fromtimestamp(seconds, UTC))
