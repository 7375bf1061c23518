"""Optuna's pruners as a spec names them: their options, and how each is made."""

from abc import ABC, abstractmethod
from typing import Annotated, Literal

from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    NopPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
    WilcoxonPruner,
)
from pydantic import Discriminator, Field, Tag

from sweeps.spec.imports import ImportedCode, kind_of, make_imported
from sweeps.spec.validation import Section


class Pruner(Section, ABC):
    """How hopeless trials are stopped early. Baselines never are."""

    @abstractmethod
    def make(self, epochs: int) -> BasePruner:
        """Make Optuna's pruner for trials of so many epochs."""


class Asha(Pruner):
    """Asynchronous successive halving (Li et al., 2018).

    Attributes:
        min_epochs: the first rung: no trial is pruned before so many epochs.
        reduction_factor: one trial in so many continues at each rung.
        bootstrap_count: so many trials, the first at each rung, are all pruned there; baselines
            count and are not.
    """

    name: Literal["asha"] = "asha"
    min_epochs: int = Field(1, ge=1)
    reduction_factor: int = Field(2, ge=2)
    bootstrap_count: int = Field(0, ge=0)

    def make(self, epochs: int) -> BasePruner:
        return SuccessiveHalvingPruner(
            min_resource=self.min_epochs,
            reduction_factor=self.reduction_factor,
            bootstrap_count=self.bootstrap_count,
        )


class Hyperband(Pruner):
    """Several successive halvings that begin at different epochs (Li et al., 2017).

    Attributes:
        min_epochs: no trial is pruned before so many epochs.
        reduction_factor: one trial in so many continues at each rung.
    """

    name: Literal["hyperband"]
    min_epochs: int = Field(1, ge=1)
    reduction_factor: int = Field(3, ge=2)

    def make(self, epochs: int) -> BasePruner:
        return HyperbandPruner(
            min_resource=self.min_epochs,
            max_resource=epochs,
            reduction_factor=self.reduction_factor,
        )


class _Compared(Pruner):
    """Compares a trial's best value so far with the completed trials' at its epoch.

    Attributes:
        startup_trials: no trial is pruned before so many have completed; pruned ones do not count.
        min_epochs: no trial is pruned before so many epochs.
        interval: epochs between two decisions.
        min_trials: completed trials that an epoch needs before one is pruned there.
    """

    startup_trials: int = Field(4, ge=0)
    min_epochs: int = Field(1, ge=0)
    interval: int = Field(1, ge=1)
    min_trials: int = Field(1, ge=1)

    def best(self, percentile: float) -> BasePruner:
        """Make the pruner that lets the best ``percentile`` of the trials continue."""
        return PercentilePruner(
            percentile,
            n_startup_trials=self.startup_trials,
            n_warmup_steps=self.min_epochs,
            interval_steps=self.interval,
            n_min_trials=self.min_trials,
        )


class Percentile(_Compared):
    """Prunes a trial whose best value so far is outside of the best ``percentile`` at its epoch.

    Attributes:
        percentile: how many percent of the completed trials it has to be among.
    """

    name: Literal["percentile"]
    percentile: float = Field(25.0, gt=0, lt=100)

    def make(self, epochs: int) -> BasePruner:
        return self.best(self.percentile)


class Median(_Compared):
    """Prunes a trial whose best value so far is worse than the completed trials' median."""

    name: Literal["median"]

    def make(self, epochs: int) -> BasePruner:
        return self.best(50.0)


class Wilcoxon(Pruner):
    """Prunes a trial that a signed-rank test of its epochs finds worse than the best trial.

    Attributes:
        p_threshold: the p-value below which a trial is pruned.
        min_epochs: no trial is pruned before so many epochs, nor before two.
    """

    name: Literal["wilcoxon"]
    p_threshold: float = Field(0.1, gt=0, lt=1)
    min_epochs: int = Field(2, ge=0)

    def make(self, epochs: int) -> BasePruner:
        return WilcoxonPruner(p_threshold=self.p_threshold, n_startup_steps=self.min_epochs)


class NoPruner(Pruner):
    """Prunes nothing."""

    name: Literal["none"]

    def make(self, epochs: int) -> BasePruner:
        return NopPruner()


class ImportedPruner(ImportedCode, Pruner):
    """A subclass of ``optuna.pruners.BasePruner``."""

    def make(self, epochs: int) -> BasePruner:
        made: BasePruner = make_imported(self.import_, self.options, "pruner", BasePruner)
        return made


AnyPruner = Annotated[
    Annotated[Asha, Tag("asha")]
    | Annotated[Hyperband, Tag("hyperband")]
    | Annotated[Percentile, Tag("percentile")]
    | Annotated[Median, Tag("median")]
    | Annotated[Wilcoxon, Tag("wilcoxon")]
    | Annotated[NoPruner, Tag("none")]
    | Annotated[ImportedPruner, Tag("import")],
    Discriminator(lambda tree: kind_of(tree, "asha")),
]
