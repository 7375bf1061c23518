"""What happens in a sweep: the one source of what the views show, log and send."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, TypedDict

from optuna.trial import FrozenTrial

from storage import CONFIGURATION, OVERRIDES
from sweeps.study.progress import Progress

Ending = Literal["finished", "time_is_up", "stopped", "failed"]


class Best(TypedDict):
    """The best trial: its number, its value, and the settings that gave it."""

    trial: int
    value: float
    configuration: str | None
    params: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Event(ABC):
    """Something that happened.

    Attributes:
        study: where; ``None`` where no study is known yet.
        time: when it was seen.
    """

    name: ClassVar[str]

    study: str | None
    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    @abstractmethod
    def sentence(self) -> str:
        """It in plain words."""

    def as_dict(self) -> dict[str, Any]:
        """It as plain values that JSON has: no NaN, and the time in ISO 8601."""
        own = {item.name: plain(getattr(self, item.name)) for item in fields(self)}
        del own["study"], own["time"]
        return {
            "time": iso_time(self.time),
            "event": self.name,
            "study": self.study,
            **own,
            "text": self.sentence(),
        }


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
class WorkerStarted(Event):
    name = "worker_started"

    worker: str
    host: str
    pid: int
    device: str

    def sentence(self) -> str:
        return f"{self.worker} started on {self.device} of {self.host}"


@dataclass(frozen=True, kw_only=True)
class WorkerEnded(Event):
    """A worker is gone; ``trial`` is what it was at when it was last seen."""

    name = "worker_ended"

    worker: str
    host: str
    pid: int
    device: str
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
        return f"trial {self.trial} started" + self.what()

    def what(self) -> str:
        """What is tried, and whether it is again, as the end of a line."""
        again = "" if self.retry_of is None else f" (again, after trial {self.retry_of})"
        return (f": {self.configuration}" if self.configuration else "") + again


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
    """A trial ended.

    Attributes:
        value: of the metric in its last epoch; ``None`` where there is none or it was not finite.
        queued_again: whether another trial stands in for this one.
        finished, target: how far the study is.
    """

    name = "trial_ended"

    trial: int
    outcome: str
    metric: str
    value: float | None
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
        result = self.result()
        named = f" ({self.configuration})" if self.configuration else ""
        outcome = self.outcome.replace("_", " ")
        return f"trial {self.trial} {outcome}" + (f": {result}" if result else "") + named

    def result(self) -> str:
        """What it reached, or why it did not."""
        if self.outcome in ("completed", "pruned") and self.value is not None:
            epochs = "epoch" if self.epochs == 1 else "epochs"
            return f"{self.metric} {self.value:.4f} after {self.epochs} {epochs}"
        return self.reason or ""


@dataclass(frozen=True, kw_only=True)
class NewBest(Event):
    """A trial beat all before it; ``previous`` is the best value until then."""

    name = "new_best"

    trial: int
    metric: str
    value: float
    previous: float | None
    configuration: str | None
    params: dict[str, Any]

    def sentence(self) -> str:
        named = f" ({self.configuration})" if self.configuration else ""
        before = "" if self.previous is None else f", before {self.previous:.4f}"
        return (
            f"{self.study}: trial {self.trial}{named} is the best so far, "
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
    """The sweep is over; the study may be gone on with.

    Attributes:
        how: ``finished``: it has all its trials; ``time_is_up``; ``stopped`` by a signal;
            ``failed``.
        reason: why it was stopped or failed.
        seconds: how long it took.
        The others are ``None`` where it ended before its study was found.
    """

    name = "sweep_ended"

    how: Ending
    reason: str | None
    metric: str | None = None
    finished: int | None = None
    target: int | None = None
    outcomes: Mapping[str, int] | None = None
    best: Best | None = None
    seconds: float | None = None

    def sentence(self) -> str:
        study = self.study or "the sweep"
        if self.how == "failed":
            return f"{study} failed: {self.reason}"
        words = {"finished": "is finished", "time_is_up": "is out of time", "stopped": "stopped"}
        parts = [f"{study} {words[self.how]}"]
        if self.finished is not None:
            total = "" if self.target is None else f" of {self.target}"
            parts[0] += f": {self.finished}{total} trials"
            parts.append(_best_words(self.metric, self.best))
        return ", ".join(parts)


def plain(value: Any) -> Any:
    """A value as JSON has it: numbers that are not finite are ``None``."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if isinstance(value, str | int | None) else str(value)


def iso_time(time: datetime) -> str:
    """A moment as ``2026-01-31T12:00:00.000Z``."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def best_of(progress: Progress) -> Best | None:
    """The best trial of a study, if one is complete."""
    if progress.best is None:
        return None
    return Best(
        trial=progress.best.number,
        value=progress.best.values[0],
        configuration=progress.best.user_attrs.get(CONFIGURATION),
        params=params_of(progress.best),
    )


def params_of(trial: FrozenTrial) -> dict[str, Any]:
    """What was set for a trial: what it was given, and what the sampler picked."""
    return {**trial.user_attrs.get(OVERRIDES, {}), **trial.params}


def _best_words(metric: str | None, best: Best | None) -> str:
    if best is None:
        return "none complete"
    named = f" ({best['configuration']})" if best["configuration"] else ""
    return f"best {metric} {best['value']:.4f} in trial {best['trial']}{named}"
