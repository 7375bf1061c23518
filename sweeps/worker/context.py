"""What an objective is given: its trial's configuration, and how to report, checkpoint and stop."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import optuna

from storage import CONFIGURATION, EpochRecord, HardenedStorage, batch, note_progress, report_epoch
from sweeps.errors import Diverged
from sweeps.study import attributes as names
from sweeps.study.notes import write_note
from sweeps.worker.checkpoints import TrialCheckpoint


@dataclass
class TrialContext:
    """One trial, as its objective sees it.

    Attributes:
        trial: the trial, to ask for its number and attributes.
        config: the trial's configuration, which follows from its parameters.
        device: where to compute, as PyTorch names it: ``cpu`` or ``cuda``.
        metric: the name of the value that the study optimizes.
        checkpoint: keeps the trial's state; a retry reads what its predecessor wrote last.
        should_stop: returns true once the trial shall stop; ask before every batch, then write a
            checkpoint and raise :class:`sweeps.errors.Interrupted`.
        worker_name: the worker, as tables show it.

    Example::

        def objective(context):
            context.describe(epochs=3)
            for epoch in range(1, 4):
                accuracy = train_one_epoch(context.config)
                context.report(epoch, val_accuracy=accuracy, seconds=1.5)
            return accuracy
    """

    trial: optuna.Trial
    config: Any
    device: str
    metric: str
    checkpoint: TrialCheckpoint
    should_stop: Callable[[], bool]
    worker_name: str
    _study: optuna.Study = field(repr=False)
    _storage: HardenedStorage = field(repr=False)
    _worker_id: str = field(repr=False)
    _epochs: int = field(default=0, repr=False)

    def describe(
        self, *, epochs: int, note: str = "", attributes: Mapping[str, Any] | None = None
    ) -> None:
        """Describe the trial before its first epoch.

        Args:
            epochs: the epochs that it will report.
            note: Markdown for the trial's page in the dashboard.
            attributes: user attributes to set.
        """
        self._epochs = epochs
        number = self.trial.number
        note_progress(self._storage, self._worker_id, trial_number=number, epochs=epochs)

        def write() -> None:
            for name, value in {names.WORKER: self.worker_name, **(attributes or {})}.items():
                self.trial.set_user_attr(name, value)
            if note:
                write_note(self.trial, note)

        batch(self._storage, self._study._study_id, write)

    def report(
        self,
        epoch: int,
        *,
        replayed: bool = False,
        attributes: Mapping[str, Any] | None = None,
        **metrics: float,
    ) -> None:
        """Record an epoch and let the pruner decide.

        Args:
            epoch: counted from 1.
            replayed: whether the epoch was read back from a checkpoint: it is recorded, and not
                judged again by what other trials have reached since.
            attributes: user attributes to set in the same transaction.
            **metrics: what the epoch measured, the study's metric among them.

        Raises:
            Diverged: the study's metric is not finite.
            optuna.TrialPruned: the trial is hopeless. Baselines always run to their end, because
                comparisons need them whole.
            optuna.exceptions.UpdateFinishedTrialError: another process ended the trial.
        """
        value = metrics[self.metric]
        finite = {name: x if math.isfinite(x) else None for name, x in metrics.items()}
        report_epoch(
            self._storage,
            self.trial,
            EpochRecord(epoch, finite),
            value,
            epochs=self._epochs,
            worker_id=self._worker_id,
            attributes=attributes,
        )
        if not math.isfinite(value):
            raise Diverged(f"{self.metric} was not finite in epoch {epoch}")
        # The pruner is asked in every epoch: it remembers the trial's values when it is.
        hopeless = self.trial.should_prune()
        is_baseline = CONFIGURATION in self.trial.user_attrs
        if hopeless and not (replayed or is_baseline or epoch >= self._epochs):
            raise optuna.TrialPruned


class Objective(Protocol):
    """What a trial does."""

    def __call__(self, context: TrialContext) -> float:
        """Run a trial.

        Returns:
            The value of the study's metric.

        Raises:
            Interrupted: ``context.should_stop`` returned true.
            Diverged, optuna.TrialPruned: as raised by ``context.report``.
            OutOfMemory: the trial needs more memory than there is.
            Exception: anything else fails the trial.
        """
