"""What happens in a sweep. Every table, line, log and notification is made of these events.

What their fields mean is promised in ``docs/reports.md``.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from optuna.trial import FrozenTrial

from storage import CONFIGURATION, OVERRIDES
from sweeps.study.attributes import METRICS
from sweeps.study.progress import Progress

Ending = Literal["finished", "time_is_up", "stopped", "failed"]


@dataclass(frozen=True, kw_only=True)
class Event(ABC):
    """Something that happened.

    Attributes:
        study: the study's name; ``None`` before it is known.
        time: when the event was seen.
    """

    name: ClassVar[str]

    study: str | None
    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    @abstractmethod
    def sentence(self) -> str:
        """Say in plain words what happened."""

    def as_dict(self) -> dict[str, Any]:
        """Convert to plain JSON values: no NaN, and the time in ISO 8601."""
        own = {item.name: json_value(getattr(self, item.name)) for item in fields(self)}
        del own["study"], own["time"]
        head = {"time": iso_time(self.time), "event": self.name, "study": self.study}
        return {**head, **own, "text": self.sentence()}


@dataclass(frozen=True, kw_only=True)
class SweepStarted(Event):
    name = "sweep_started"

    metric: str
    direction: str
    finished: int
    target: int | None

    def sentence(self) -> str:
        total = "any number of" if self.target is None else self.target
        return f"{self.study} started: {self.finished} of {total} trials done"


@dataclass(frozen=True, kw_only=True)
class _WorkerEvent(Event):
    worker: str
    host: str
    pid: int
    device: str


@dataclass(frozen=True, kw_only=True)
class WorkerStarted(_WorkerEvent):
    name = "worker_started"

    def sentence(self) -> str:
        return f"{self.worker} started on {self.device} of {self.host}"


@dataclass(frozen=True, kw_only=True)
class WorkerEnded(_WorkerEvent):
    name = "worker_ended"

    trial: int | None

    def sentence(self) -> str:
        return f"{self.worker} ended"


@dataclass(frozen=True, kw_only=True)
class TrialStarted(Event):
    name = "trial_started"

    trial: int
    configuration: str | None
    worker: str | None
    retry_of: int | None

    def sentence(self) -> str:
        retry = "" if self.retry_of is None else f" (retry of trial {self.retry_of})"
        named = f": {self.configuration}" if self.configuration else ""
        return f"trial {self.trial} started{named}{retry}"


@dataclass(frozen=True, kw_only=True)
class EpochEnded(Event):
    name = "epoch_ended"

    trial: int
    epoch: int
    metric: str
    value: float | None

    def sentence(self) -> str:
        value = "not finite" if self.value is None else f"{self.value:.4f}"
        return f"trial {self.trial} epoch {self.epoch}: {self.metric} {value}"


@dataclass(frozen=True, kw_only=True)
class TrialEnded(Event):
    name = "trial_ended"

    trial: int
    outcome: str
    metric: str
    value: float | None
    metrics: dict[str, float | None]
    epochs: int
    seconds: float | None
    reason: str | None
    configuration: str | None
    params: dict[str, Any]
    worker: str | None
    retry_of: int | None
    queued_again: bool
    finished: int
    target: int | None

    def sentence(self) -> str:
        outcome, result = self.outcome.replace("_", " "), self.result()
        result = f": {result}" if result else ""
        return f"trial {self.trial} {outcome}{result}{_bracketed(self.configuration)}"

    def result(self) -> str:
        """Say what the trial reached, or why it ended without a result."""
        if self.outcome in ("completed", "pruned") and self.value is not None:
            epochs = "epoch" if self.epochs == 1 else "epochs"
            return f"{self.metric} {self.value:.4f} after {self.epochs} {epochs}"
        return self.reason or ""


@dataclass(frozen=True, kw_only=True)
class NewBest(Event):
    name = "new_best"

    trial: int
    metric: str
    value: float
    metrics: dict[str, float | None]
    previous: float | None
    configuration: str | None
    params: dict[str, Any]

    def sentence(self) -> str:
        before = "" if self.previous is None else f", before {self.previous:.4f}"
        return (
            f"{self.study}: trial {self.trial}{_bracketed(self.configuration)} is the best so far, "
            f"{self.metric} {self.value:.4f}{before}"
        )


@dataclass(frozen=True, kw_only=True)
class Message(Event):
    name = "message"

    text: str

    def sentence(self) -> str:
        return self.text


@dataclass(frozen=True, kw_only=True)
class SweepEnded(Event):
    """The sweep ended; another run can resume its study, if that was found."""

    name = "sweep_ended"

    how: Ending
    reason: str | None
    metric: str | None = None
    finished: int | None = None
    target: int | None = None
    outcomes: Mapping[str, int] | None = None
    best: dict[str, Any] | None = None
    seconds: float | None = None

    def sentence(self) -> str:
        study = self.study or "the sweep"
        if self.how == "failed":
            return f"{study} failed: {self.reason}"
        words = {"finished": "is finished", "time_is_up": "is out of time", "stopped": "stopped"}
        ended = f"{study} {words[self.how]}"
        if self.finished is None:
            return ended
        total = "" if self.target is None else f" of {self.target}"
        return f"{ended}: {self.finished}{total} trials, {self._best_words()}"

    def _best_words(self) -> str:
        if self.best is None:
            return "none complete"
        best = f"best {self.metric} {self.best['value']:.4f} in trial {self.best['trial']}"
        return best + _bracketed(self.best["configuration"])


def best_of(progress: Progress) -> dict[str, Any] | None:
    """Describe the best trial of a study; ``None`` if no trial is complete."""
    if progress.best is None:
        return None
    return {
        "trial": progress.best.number,
        "value": progress.best.values[0],
        "metrics": progress.best.user_attrs.get(METRICS, {}),
        "configuration": progress.best.user_attrs.get(CONFIGURATION),
        "params": params_of(progress.best),
    }


def params_of(trial: FrozenTrial) -> dict[str, Any]:
    """Return a trial's settings: those its baseline or retry fixed, and those sampled."""
    return {**trial.user_attrs.get(OVERRIDES, {}), **trial.params}


def json_value(value: Any) -> Any:
    """Convert to a plain JSON value; a number that is not finite becomes ``None``."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    return value if isinstance(value, str | int | None) else str(value)


def iso_time(time: datetime) -> str:
    """Format a moment as ``2026-01-31T12:00:00.000Z``."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _bracketed(configuration: str | None) -> str:
    return f" ({configuration})" if configuration else ""
