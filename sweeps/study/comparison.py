"""What a comparison knows: its arms, their runs, and where its verdicts stand."""

import math
import statistics
from dataclasses import dataclass, field, replace
from typing import Any

from sweeps.spec.comparison import ComparisonSpec
from sweeps.verdicts import Declaration, Verdict, confidence_sequence, next_seeds


@dataclass(frozen=True)
class Choice:
    """The settings that an arm's exploring and tuning chose, by the validation part alone.

    Attributes:
        study, trial: where they were tried.
        value: of the metric there.
        values: the settings, by dotted name; the arm's own among them.
    """

    study: str
    trial: int
    value: float
    values: dict[str, Any]


@dataclass(frozen=True)
class Run:
    """A confirming run of an arm.

    Attributes:
        seed: of everything random in it.
        trial: its number in its study.
        value: what it measured; the dead value where it died.
        death: how it died, in words; empty for a run that did not.
        curve: the validation metric by epoch.
        micro_batches: in how many parts its batches were computed, where that was set for it alone:
            from its arm, or because it ran out of memory before.
    """

    seed: int
    trial: int
    value: float
    death: str
    curve: dict[int, float]
    micro_batches: int | None = None


@dataclass(frozen=True)
class ArmResult:
    """What is known of an arm.

    Attributes:
        name: its name.
        settings: what it sets.
        tuned: the settings that it tunes.
        fixed: settings that the other arms tune and this one sets.
        choice: its chosen settings; ``None`` before it is tuned.
        explored, searched: values of its exploring and tuning trials that have ended, the dead
            value for those without one; a pruned trial's is its last.
        runs: its confirming runs, in the order of their seeds, up to the first that is missing.
        equal_time_epochs: how long it trains at equal time; ``None`` where that is not known yet.
        equal_time_runs: its runs at equal time, likewise.
        parameters: number of trained values.
        multiply_adds: of a forward pass, for one image.
        step_ms, epoch_seconds, peak_memory_mib: medians over the confirming runs.
        epochs: trained in all stages.
    """

    name: str
    settings: dict[str, Any]
    tuned: list[str]
    fixed: list[str]
    choice: Choice | None
    explored: list[float]
    searched: list[float]
    runs: list[Run]
    equal_time_epochs: int | None
    equal_time_runs: list[Run]
    parameters: int | None
    multiply_adds: int | None
    step_ms: float | None
    epoch_seconds: float | None
    peak_memory_mib: float | None
    epochs: int

    @property
    def deaths(self) -> int:
        return sum(bool(run.death) for run in self.runs)

    @property
    def mean(self) -> float:
        """Of its confirming runs; NaN without any."""
        return statistics.fmean(run.value for run in self.runs) if self.runs else math.nan

    def interval(self, error: float) -> tuple[float, float]:
        """Return the ends of the mean's confidence sequence; infinite where nothing can be said."""
        if not self.runs:
            return -math.inf, math.inf
        low, high = confidence_sequence([run.value for run in self.runs], error)
        return float(low[-1]), float(high[-1])


@dataclass(frozen=True)
class Pair:
    """Two arms on the same seeds.

    Attributes:
        arm, other: their names; differences are the first one's value minus the other's, or the
            reverse where smaller values are better.
        differences: by seed.
        low, high: the confidence sequence after each.
        verdict: where it stands.
        probability: that a run of ``arm`` beats one of ``other``; NaN without any.
    """

    arm: str
    other: str
    differences: list[float]
    low: list[float]
    high: list[float]
    verdict: Verdict
    probability: float

    def reversed(self) -> "Pair":
        """Return what is said of the other arm against this one."""
        opposite: dict[Declaration, Declaration] = {"better": "worse", "worse": "better"}
        one = self.verdict
        verdict = replace(
            one,
            declaration=opposite.get(one.declaration, one.declaration),
            mean=-one.mean,
            low=-one.high,
            high=-one.low,
        )
        return Pair(
            arm=self.other,
            other=self.arm,
            differences=[-each for each in self.differences],
            low=[-each for each in self.high],
            high=[-each for each in self.low],
            verdict=verdict,
            probability=1 - self.probability,
        )


@dataclass(frozen=True)
class Earlier:
    """A comparison on the same images whose results were seen before this one began."""

    name: str
    changed: list[str]


@dataclass(frozen=True)
class Comparison:
    """A comparison at one moment.

    Attributes:
        name: its name.
        spec: its spec.
        arms: by name.
        pairs: what is compared, each in the order of :attr:`ComparisonSpec.pairs`.
        equal_time: the same at equal time; empty where it is not asked for, or not known yet.
        earlier: comparisons that began before on the same images, and what this one changed.
    """

    name: str
    spec: ComparisonSpec
    arms: dict[str, ArmResult]
    pairs: list[Pair]
    equal_time: list[Pair] = field(default_factory=list)
    earlier: list[Earlier] = field(default_factory=list)

    def wanted_seeds(self) -> dict[str, int]:
        """Return how many seeds each arm shall have next: as many as it has, at the end."""
        budget = self.spec.budget
        seeds = {arm: len(result.runs) for arm, result in self.arms.items()}
        if min(seeds.values()) < self.spec.first_seeds:
            return dict.fromkeys(self.spec.arms, self.spec.first_seeds)
        left = None if budget.most_runs is None else max(budget.most_runs - self.runs, 0)
        return next_seeds(
            {(pair.arm, pair.other): pair.verdict for pair in self.pairs},
            seeds,
            most_seeds=budget.most_seeds,
            runs_left=left,
        )

    @property
    def runs(self) -> int:
        """Confirming runs of all arms."""
        return sum(len(arm.runs) for arm in self.arms.values())

    def pairs_of(self, arm: str) -> list[Pair]:
        """Return the pairs of an arm, as seen from it."""
        mine = [pair for pair in self.pairs if arm in (pair.arm, pair.other)]
        return [pair if pair.arm == arm else pair.reversed() for pair in mine]

    def winners(self) -> list[str]:
        """Return the arms that are declared better than all that they are compared with.

        With a reference there may be several, which are not compared with each other: the one with
        the best mean is first.
        """
        sign = 1 if self.spec.measured.direction == "maximize" else -1
        found = [
            name
            for name in self.arms
            if (pairs := self.pairs_of(name))
            and all(pair.verdict.declaration == "better" for pair in pairs)
        ]
        return sorted(found, key=lambda name: -sign * self.arms[name].mean)
