"""What an objective is given: its trial's configuration, and how to report, checkpoint and stop."""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, SupportsFloat

import optuna
from optuna.trial import FrozenTrial

from storage import (
    CONFIGURATION,
    Claim,
    EpochRecord,
    HardenedStorage,
    batch,
    held_claim,
    holding,
    note_progress,
    report_epoch,
)
from sweeps.data import Dataset
from sweeps.errors import Diverged
from sweeps.study import attributes as names
from sweeps.study.notes import write_note

if TYPE_CHECKING:
    from sweeps.training import Checkpoint


@dataclass(kw_only=True)
class TrialContext(ABC):
    """One trial, as its objective sees it.

    Attributes:
        config: the trial's settings with the values that were picked; it is to report
            ``config.training.epochs`` epochs.
        dataset: the images of ``config.data``, 8-bit arrays that are mapped into memory; ``None``
            where the spec names none.
        data_dir: the folder of the datasets.
        trial: the trial, to ask for its number and attributes.
        device: where to compute, as PyTorch names it: ``cpu`` or ``cuda``.
        metrics: the names of the values that the study optimizes.
        checkpoint: keeps the trial's state; a retry reads what its predecessor wrote last.
        should_stop: returns true once the trial shall stop; ask before every batch, then write a
            checkpoint and raise :class:`sweeps.errors.Interrupted`.
        worker_name: the worker, as tables show it.

    Example::

        def train(context):
            model = make_model(context.options["width"], context.seed)
            for epoch in range(1, context.config.training.epochs + 1):
                accuracy = train_one_epoch(model, context.dataset, context.options["lr"])
                context.report(epoch, val_accuracy=accuracy)
    """

    trial: optuna.Trial
    config: Any
    device: str
    metrics: Sequence[str]
    checkpoint: "Checkpoint"
    should_stop: Callable[[], bool]
    worker_name: str
    dataset: Dataset | None = None
    data_dir: Path = Path("data")
    _values: list[float] = field(default_factory=list, repr=False)
    _epoch_start: float = field(default_factory=time.monotonic, repr=False)

    @property
    def options(self) -> dict[str, Any]:
        """The settings of a loop of your own."""
        options: dict[str, Any] = self.config.options
        return options

    @property
    def seed(self) -> int:
        """The seed of everything random in the trial."""
        seed: int = self.config.seed
        return seed

    @property
    def may_prune(self) -> bool:
        """Whether the trial may be stopped early: no baseline, and the study prunes."""
        return False

    @abstractmethod
    def describe(
        self, *, epochs: int, note: str = "", attributes: Mapping[str, Any] | None = None
    ) -> None:
        """Describe the trial before its first epoch.

        Args:
            epochs: the epochs that it will report.
            note: Markdown for the trial's page in the dashboard.
            attributes: user attributes to set.
        """

    def trials(self) -> Sequence[FrozenTrial]:
        """Return the study's trials, this one among them; none where there is no study."""
        return []

    def agree(self, name: str, make: Callable[[], Any]) -> Any:
        """Return the study's user attribute of a name; make a value where there is none yet.

        Of several workers that ask at once one sets it, and all get the same. Without a study
        it is made anew.
        """
        return make()

    @abstractmethod
    def report(
        self,
        epoch: int,
        *,
        replayed: bool = False,
        diverged: bool = False,
        attributes: Mapping[str, Any] | None = None,
        **metrics: SupportsFloat,
    ) -> None:
        """Record an epoch and let the pruner decide.

        Args:
            epoch: counted from 1.
            replayed: whether the epoch was read back from a checkpoint: it is recorded, and not
                judged again by what other trials have reached since.
            diverged: whether no further epoch makes sense. The trial then counts as pruned: the
                sampler learns from it.
            attributes: user attributes to set in the same transaction.
            **metrics: numbers that the epoch measured, those that the study optimizes among them.
                ``seconds``, the time since the last report, is added where it is missing.

        Raises:
            Diverged: the trial diverged, as the caller said.
            optuna.TrialPruned: the trial is hopeless. Baselines always run to their end, because
                comparisons need them whole.
            optuna.exceptions.UpdateFinishedTrialError: another process ended the trial.
            TypeError, ValueError: a metric is no number, one that the study optimizes is missing or
                not finite.
        """

    def _take(self, epoch: int, metrics: Mapping[str, SupportsFloat]) -> dict[str, float]:
        """Check an epoch's metrics and return them as numbers."""
        numbers = {name: as_number(value, name) for name, value in metrics.items()}
        now = time.monotonic()
        numbers.setdefault("seconds", now - self._epoch_start)
        self._epoch_start = now
        missing = [name for name in self.metrics if name not in numbers]
        if missing:
            raise ValueError(
                f"epoch {epoch} reported {', '.join(metrics) or 'nothing'}, and not {missing[0]}, "
                "which the study optimizes"
            )
        self._values = [numbers[name] for name in self.metrics]
        return numbers

    def result(self, returned: Any) -> list[float]:
        """Return the trial's values: those of its last epoch, or the number that it returned.

        Raises:
            TypeError, ValueError: what it returned is no number, or no epoch was reported.
        """
        if not self._values:
            raise ValueError(f"{self.metrics[0]}, which the study optimizes, was never reported")
        if returned is None:
            return self._values
        if len(self.metrics) > 1:
            raise TypeError("with several objectives the last epoch counts: return nothing")
        value = as_number(returned, "the returned value")
        if not math.isfinite(value):
            raise ValueError(f"the returned value is {value}")
        return [value]


@dataclass(kw_only=True)
class StudyContext(TrialContext):
    """A trial of a study: what it reports is recorded, and judged by the pruner.

    It is made inside :func:`storage.holding`, for the claim that its own threads hold too.
    """

    _study: optuna.Study = field(repr=False)
    _storage: HardenedStorage = field(repr=False)
    _worker_id: str = field(repr=False)
    _epochs: int = field(default=0, repr=False)
    _claim: Claim | None = field(default_factory=held_claim, repr=False)

    @property
    def may_prune(self) -> bool:
        is_baseline = CONFIGURATION in self.trial.user_attrs
        prunes = not isinstance(self._study.pruner, optuna.pruners.NopPruner)
        return prunes and not is_baseline and len(self.metrics) == 1

    def describe(
        self, *, epochs: int, note: str = "", attributes: Mapping[str, Any] | None = None
    ) -> None:
        self._epochs = epochs
        number = self.trial.number
        note_progress(self._storage, self._worker_id, trial_number=number, epochs=epochs)

        def write() -> None:
            for name, value in {names.WORKER: self.worker_name, **(attributes or {})}.items():
                self.trial.set_user_attr(name, value)
            if note:
                write_note(self.trial, note)

        with self._holding_claim():
            batch(self._storage, self._study._study_id, write)

    def trials(self) -> Sequence[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def agree(self, name: str, make: Callable[[], Any]) -> Any:
        agreed = self._study.user_attrs.get(name)
        if agreed is not None:
            return agreed
        value = make()

        def read_or_set() -> None:
            nonlocal agreed
            agreed = self._study.user_attrs.get(name)
            if agreed is None:
                agreed = value
                self._study.set_user_attr(name, value)

        batch(self._storage, self._study._study_id, read_or_set)
        return agreed

    def report(
        self,
        epoch: int,
        *,
        replayed: bool = False,
        diverged: bool = False,
        attributes: Mapping[str, Any] | None = None,
        **metrics: SupportsFloat,
    ) -> None:
        numbers = self._take(epoch, metrics)
        finite = {name: x if math.isfinite(x) else None for name, x in numbers.items()}
        value = numbers[self.metrics[0]]
        with self._holding_claim():
            report_epoch(
                self._storage,
                self.trial,
                EpochRecord(epoch, finite),
                value,
                epochs=self._epochs,
                worker_id=self._worker_id,
                attributes={**(attributes or {}), names.METRICS: finite},
            )
        unusable = [name for name in self.metrics if finite[name] is None]
        if diverged:
            raise Diverged(f"{(unusable or ['a loss'])[0]} was not finite in epoch {epoch}")
        if unusable:
            raise ValueError(f"{unusable[0]} was {numbers[unusable[0]]} in epoch {epoch}")
        if len(self.metrics) > 1:
            return
        # The pruner is asked in every epoch: it remembers the trial's values when it is.
        with self._holding_claim():
            hopeless = self.trial.should_prune()
        is_last = 0 < self._epochs <= epoch
        if hopeless and self.may_prune and not (replayed or is_last):
            raise optuna.TrialPruned

    def _holding_claim(self) -> AbstractContextManager[None]:
        """Hold the trial's claim, also in a thread that the objective has started."""
        return nullcontext() if self._claim is None else holding(self._claim)


def as_number(value: Any, name: str) -> float:
    """Convert a number of Python, NumPy or PyTorch.

    Raises:
        TypeError: it is none.
    """
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"{name} is {value!r:.60}, not a number") from None


class Objective(Protocol):
    """What a trial does."""

    def __call__(self, context: TrialContext) -> float | None:
        """Run a trial.

        Returns:
            The value of the study's metric; ``None`` for that of the last epoch that was reported.

        Raises:
            Interrupted: ``context.should_stop`` returned true.
            Diverged, optuna.TrialPruned: as raised by ``context.report``.
            OutOfMemory: the trial needs more memory than there is.
            Exception: anything else fails the trial.
        """
