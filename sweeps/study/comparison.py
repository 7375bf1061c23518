"""What a comparison knows: its arms, their runs, and where its verdicts stand.

A comparison NAME is several studies: ``NAME.explore.ARM`` and ``NAME.tune.ARM`` for each arm, then
``NAME.confirm``, whose trials are runs of an arm with a seed, and ``NAME.equal-time``. The study
``NAME.confirm`` is made first, and holds the comparison's spec.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from storage import (
    CONFIGURATION,
    DEFAULT_URL,
    OVERRIDES,
    REASON,
    HardenedStorage,
    open_storage,
    open_study,
    study_names,
    unfinished_outcome,
)
from sweeps.errors import SweepsError
from sweeps.spec.comparison import ComparisonSpec
from sweeps.spec.validation import validate
from sweeps.study import attributes
from sweeps.study.progress import outcome_of
from sweeps.study.study import differences, spec_tree
from sweeps.verdicts import (
    Declaration,
    Verdict,
    confidence_sequence,
    decide,
    next_seeds,
    probability_better,
)

#: Attributes of the study NAME.confirm: the comparison's spec; what each arm's tuning chose; after
#: how many epochs arms are compared at equal time.
COMPARISON = "comparison"
CHOSEN = "chosen"
EQUAL_TIME = "equal_time_epochs"

#: What may change after results were seen; also within ``budget`` what only adds seeds or time.
_FREE = (
    "description",
    "equal_time",
    "budget.most_seeds",
    "budget.most_runs",
    "budget.minutes",
)
#: What may differ, in two comparisons of the same question.
_INCIDENTAL = ("name", "description", "budget", "fallback")


def confirm_name(name: str) -> str:
    """Return the name of the study that confirms, and that holds the comparison."""
    return f"{name}.confirm"


def equal_time_name(name: str) -> str:
    """Return the name of the study whose arms train for the same seconds."""
    return f"{name}.equal-time"


def explore_name(name: str, arm: str) -> str:
    """Return the name of the study that explores an arm."""
    return f"{name}.explore.{arm}"


def tune_name(name: str, arm: str) -> str:
    """Return the name of the study that tunes an arm."""
    return f"{name}.tune.{arm}"


def find_comparison(storage: HardenedStorage, name: str | None = None) -> str | None:
    """Return the name of the comparison that a person means; ``None`` where a study is meant.

    Args:
        storage: where it is.
        name: a study's or a comparison's; ``None`` for the newest study, which may be a stage.
    """
    known = study_names(storage)
    if name in known or not known:
        return None
    if name is not None:
        return name if confirm_name(name) in known and _holds(storage, name) else None
    homes = [home for home in known if home.endswith(confirm_name(""))]
    found = [home.removesuffix(confirm_name("")) for home in homes]
    owners = [each for each in found if stages(each, known[-1:]) and _holds(storage, each)]
    return owners[0] if owners else None


def stages(name: str, studies: Iterable[str]) -> list[str]:
    """Return those of some studies that are stages of a comparison, in their order."""
    tuning = (explore_name(name, ""), tune_name(name, ""))
    ends = (confirm_name(name), equal_time_name(name))
    return [study for study in studies if study in ends or study.startswith(tuning)]


def _holds(storage: HardenedStorage, name: str) -> bool:
    return COMPARISON in open_study(storage, confirm_name(name)).user_attrs


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
    """

    seed: int
    trial: int
    value: float
    death: str
    curve: dict[int, float]


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


def open_comparison(name: str | None = None, storage: str = DEFAULT_URL) -> Comparison:
    """Read a comparison as it stands.

    Args:
        name: its name; ``None`` for the one that the newest study is of.
        storage: where it is: a database URL, or the path of a SQLite file.

    Raises:
        storage.StorageError: the storage cannot be opened.
        SweepsError: there is no such comparison.
    """
    opened = open_storage(storage)
    try:
        found = find_comparison(opened, name)
        if found is None:
            what = "the newest study is of no comparison" if name is None else "no such comparison"
            raise SweepsError(f"{name or opened.location}: {what}; `sweeps compare` makes one")
        return read_comparison(opened, found)
    finally:
        opened.engine.dispose()


def read_comparison(storage: HardenedStorage, name: str) -> Comparison:
    """Read a comparison, which may be under way.

    Raises:
        storage.StorageError: there is none of that name.
        SweepsError: it was not made by ``sweeps compare``.
    """
    home = open_study(storage, confirm_name(name))
    if (tree := home.user_attrs.get(COMPARISON)) is None:
        raise SweepsError(f"{name}: is no comparison: `sweeps compare` makes one")
    spec = validate(ComparisonSpec, tree, name)
    known = study_names(storage)
    dead = spec.dead(home.user_attrs.get(attributes.CLASSES))
    trials = {
        study: open_study(storage, study).get_trials(deepcopy=False)
        for study in stages(name, known)
    }
    confirmed = trials[home.study_name]
    equal = trials.get(equal_time_name(name), [])
    chosen = home.user_attrs.get(CHOSEN, {})
    epochs = home.user_attrs.get(EQUAL_TIME, {})
    arms = {}
    for arm in spec.arms:
        explored = trials.get(explore_name(name, arm), [])
        tuned = trials.get(tune_name(name, arm), [])
        runs = read_runs(spec, confirmed, arm, dead)
        own_equal = [trial for trial in equal if trial.user_attrs.get(CONFIGURATION) == arm]
        is_as_long = epochs.get(arm) == spec.training.epochs
        mine = [trial for trial in confirmed if trial.user_attrs.get(CONFIGURATION) == arm]
        arms[arm] = ArmResult(
            name=arm,
            settings=dict(spec.arms[arm].set),
            tuned=list(spec.tune_spec(arm).search),
            fixed=[setting for setting in spec.arms[arm].set if setting in spec.search],
            choice=Choice(**chosen[arm]) if arm in chosen else None,
            explored=_values(explored, dead),
            searched=_values(tuned, dead),
            runs=runs,
            equal_time_epochs=epochs.get(arm),
            equal_time_runs=runs if is_as_long else read_runs(spec, own_equal, arm, dead),
            parameters=_first(mine, attributes.PARAMETERS),
            multiply_adds=_first(mine, attributes.MULTIPLY_ADDS),
            step_ms=_median(mine, "step_ms"),
            epoch_seconds=_median(mine, "seconds"),
            peak_memory_mib=_median(mine, "peak_memory_mib"),
            epochs=sum(
                len(trial.intermediate_values) for trial in (*explored, *tuned, *mine, *own_equal)
            ),
        )
    return Comparison(
        name=name,
        spec=spec,
        arms=arms,
        pairs=_pairs(spec, arms, lambda arm: arm.runs),
        equal_time=_pairs(spec, arms, lambda arm: arm.equal_time_runs) if epochs else [],
        earlier=_earlier(storage, known, home, spec),
    )


def read_runs(spec: ComparisonSpec, trials: list[FrozenTrial], arm: str, dead: float) -> list[Run]:
    """Return an arm's runs in the order of their seeds, up to the first without a result.

    Args:
        spec: the comparison.
        trials: of its confirming study, or of that at equal time.
        arm: the arm.
        dead: the value of a run that died.

    Raises:
        SweepsError: a run did not measure what verdicts are about.
    """
    by_seed = {
        trial.user_attrs.get(OVERRIDES, {}).get("seed"): trial
        for trial in trials
        if trial.user_attrs.get(CONFIGURATION) == arm
        and trial.state.is_finished()
        and not unfinished_outcome(trial)
    }
    runs: list[Run] = []
    while (trial := by_seed.get(spec.seed_of(len(runs)))) is not None:
        value, death = _measured(spec, trial, dead)
        seed = spec.seed_of(len(runs))
        runs.append(Run(seed, trial.number, value, death, dict(trial.intermediate_values)))
    return runs


def refuse_other_comparison(name: str, home: optuna.Study, spec: ComparisonSpec) -> None:
    """Refuse to resume a comparison whose spec has changed, but for seeds and time to spend.

    Raises:
        SweepsError: it has.
    """
    if (tree := home.user_attrs.get(COMPARISON)) is None:
        return
    # Read back: a setting that is new since then has its default.
    begun_with = spec_tree(validate(ComparisonSpec, tree, name))
    changed = [n for n in differences(begun_with, spec_tree(spec)) if not n.startswith(_FREE)]
    if changed:
        raise SweepsError(
            f"{name}: this comparison was begun with other settings ({', '.join(changed)}); begin "
            "another with --study NAME, or bring the settings back"
        )


def _measured(spec: ComparisonSpec, trial: FrozenTrial, dead: float) -> tuple[float, str]:
    """What a run counts as, and how it died."""
    if trial.state is not TrialState.COMPLETE:
        outcome, reason = outcome_of(trial), trial.user_attrs.get(REASON)
        return dead, f"{outcome}: {reason}" if reason else outcome
    name = spec.measured.name
    if name == spec.metrics[0]:
        return trial.values[0], ""
    metrics = trial.user_attrs.get(attributes.METRICS, {})
    if name not in metrics:
        raise SweepsError(
            f"{spec.name}: confirming run {trial.number} has not reported {name} in its last epoch"
        )
    value = metrics[name]
    return (dead, f"{name} was not finite") if value is None else (value, "")


def _values(trials: list[FrozenTrial], dead: float) -> list[float]:
    """The validation metric of trials that have ended, in its own unit."""
    values = []
    for trial in trials:
        if not trial.state.is_finished() or unfinished_outcome(trial):
            continue
        if trial.state is TrialState.COMPLETE:
            values.append(trial.values[0])
            continue
        seen = [value for _, value in sorted(trial.intermediate_values.items())]
        is_pruned = outcome_of(trial) == "pruned"
        values.append(seen[-1] if is_pruned and seen else dead)
    return values


def _pairs(
    spec: ComparisonSpec, arms: Mapping[str, ArmResult], runs: Callable[[ArmResult], list[Run]]
) -> list[Pair]:
    sign = 1.0 if spec.measured.direction == "maximize" else -1.0
    pairs = []
    for name, other in spec.pairs:
        both = zip(runs(arms[name]), runs(arms[other]), strict=False)
        found = [sign * (one.value - two.value) for one, two in both]
        low, high = confidence_sequence(found, spec.error / len(spec.pairs))
        verdict = decide(found, margin=spec.margin, error=spec.error, comparisons=len(spec.pairs))
        pairs.append(
            Pair(
                name, other, found, low.tolist(), high.tolist(), verdict, probability_better(found)
            )
        )
    return pairs


def _earlier(
    storage: HardenedStorage, known: list[str], home: optuna.Study, spec: ComparisonSpec
) -> list[Earlier]:
    """Comparisons that stand before this one in the storage, on its images, with results."""
    found = []
    tree = home.user_attrs[COMPARISON]
    for study_name in known[: known.index(home.study_name)]:
        if not study_name.endswith(confirm_name("")):
            continue
        study = open_study(storage, study_name)
        other = study.user_attrs.get(COMPARISON)
        images = attributes.FINGERPRINT
        if other is None or study.user_attrs.get(images) != home.user_attrs.get(images):
            continue
        # Arms were chosen by then, so what they reached was there to be seen.
        if CHOSEN not in study.user_attrs:
            continue
        changed = [n for n in differences(other, tree) if not n.startswith(_INCIDENTAL)]
        found.append(Earlier(study_name.removesuffix(confirm_name("")), changed))
    return found


def _first(trials: list[FrozenTrial], attribute: str) -> Any:
    found = (trial.user_attrs[attribute] for trial in trials if attribute in trial.user_attrs)
    return next(found, None)


def _median(trials: list[FrozenTrial], metric: str) -> float | None:
    """Of what the last epochs of complete runs measured."""
    measured = (
        trial.user_attrs.get(attributes.METRICS, {}).get(metric)
        for trial in trials
        if trial.state is TrialState.COMPLETE
    )
    known = [value for value in measured if value is not None]
    return statistics.median(known) if known else None
