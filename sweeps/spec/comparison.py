"""The spec of a comparison: its arms, what is tuned inside each, and what a verdict may cost.

It is a sweep's spec with arms. Each stage is a sweep of its own, whose :class:`Spec` it makes.
"""

import math
from itertools import combinations
from typing import Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from sweeps.errors import SweepsError
from sweeps.spec.arms import ARMS
from sweeps.spec.config import RunConfig, VariedSetting
from sweeps.spec.files import load_named
from sweeps.spec.imports import Reference
from sweeps.spec.metrics import Metric
from sweeps.spec.search import Search, setting_of
from sweeps.spec.spec import STUDY_NAME_RULE, Budget, Spec, is_study_name, parse_spec
from sweeps.spec.validation import Section, describe, error_at, unknown_name, validate
from sweeps.verdicts import fewest_seeds

#: The loop of the stage that touches the test part.
_CONFIRM = "sweeps.worker.confirm:train_and_test"
#: Metrics of the validation part that the test part has too, and what a run counts as that died:
#: guessing, given the number of classes.
_GUESSED = {
    "val_accuracy": lambda classes: 1 / classes,
    "val_top5": lambda classes: min(5 / classes, 1.0),
    "val_loss": math.log,
    "val_calibration_error": lambda classes: 1.0,
}


class Arm(Section):
    """What is compared.

    Attributes:
        set: the settings that make it.
        search: what it tunes beside that which all arms tune.
    """

    set: dict[VariedSetting, Any] = Field(default_factory=dict)
    search: Search = Field(default_factory=dict)


class Spending(Budget):
    """What a comparison may cost.

    Attributes:
        explore: quasi-random trials of each arm, none of them pruned.
        tune: trials of each arm by the spec's sampler and pruner.
        seeds: of each arm in the first round; ``None`` for the fewest that can settle anything.
        most_seeds: of each arm in all rounds.
        most_runs: runs of all arms together in all rounds; ``None`` for no limit.
        minutes: a call starts no run after this time.
    """

    explore: int = Field(16, ge=0)
    tune: int = Field(24, ge=1)
    seeds: int | None = Field(None, ge=2)
    most_seeds: int = Field(30, ge=2)
    most_runs: int | None = Field(None, ge=4)

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if self.trials is not None:
            raise error_at("trials", "leave it out: an arm has budget.explore and budget.tune")
        return self


class Confirmation(Section):
    """How the chosen settings are confirmed where the training loop is your own.

    Attributes:
        objective: a loop that also measures on images kept for this; ``None`` for the loop itself.
        metric: what it measures there and reports in its last epoch; ``None`` for the metric.
    """

    objective: Reference | None = None
    metric: Metric | None = None


class ComparisonSpec(Spec):
    """A comparison. What is set is fixed for all arms, what is searched is tuned in each of them.

    Attributes:
        arms: what is compared, by name: a list of :data:`sweeps.spec.arms.ARMS`, or settings.
        reference: the arm that all others are compared with; the first one where it is left out,
            and ``None`` for every arm with every other.
        margin: the smallest difference that matters, in the metric's unit.
        error: the probability of any wrong declaration.
        equal_time: whether arms are also compared after the same seconds of training.
        dead_value: what a run counts as that has no result; ``None`` for guessing.
    """

    budget: Spending = Spending()
    arms: dict[str, Arm]
    reference: str | None = None
    margin: float = Field(0.005, gt=0)
    error: float = Field(0.05, gt=0, lt=1)
    equal_time: bool = False
    dead_value: float | None = None
    confirm: Confirmation = Confirmation()

    @model_validator(mode="before")
    @classmethod
    def _know_arms(cls, tree: Any) -> Any:
        """Look up arms that are named alone; the first is the reference.

        Precision is the same for all: ``auto`` may be another in another process.
        """
        if not isinstance(tree, dict) or (arms := tree.get("arms")) is None:
            return tree
        if not isinstance(arms, list | dict):
            raise error_at("arms", "give a list of names, or what each arm sets, by its name")
        if isinstance(arms, list) and not all(isinstance(name, str) for name in arms):
            raise error_at(
                "arms",
                "a list has names alone; give all by name, with nothing beside those that ship: "
                "{plain-3x3: , mine: {set: {...}}}",
            )
        names = [str(name) for name in arms]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise error_at("arms", f"two arms have the name {twice[0]}")
        named = arms if isinstance(arms, dict) else dict.fromkeys(names)
        for name, arm in named.items():
            if arm is None and name not in ARMS:
                raise error_at("arms", f"{name}: {unknown_name(name, [*ARMS], 'arm')}")
        tree = {**tree, "arms": {n: ARMS[n] if arm is None else arm for n, arm in named.items()}}
        if isinstance(training := tree.get("training", {}), dict):
            tree["training"] = {"precision": "float32", **training}
        return {"reference": next(iter(named), None), **tree}

    @field_validator("arms")
    @classmethod
    def _are_several(cls, arms: dict[str, Arm]) -> dict[str, Arm]:
        if len(arms) < 2:
            raise ValueError("name two arms or more: one is compared with nothing")
        for name in arms:
            if not is_study_name(name):
                raise ValueError(f"{name!r}: {STUDY_NAME_RULE}")
        return arms

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.reference is not None and self.reference not in self.arms:
            raise error_at("reference", unknown_name(self.reference, [*self.arms], "arm"))
        if self.baselines:
            raise error_at("baselines", "a comparison has arms instead")
        if self.metric is None:
            raise error_at("objectives", "a comparison is decided by one metric")
        own = self.objective is not None
        if not own and self.metric.name not in _GUESSED:
            words = ", ".join(_GUESSED)
            raise error_at("metric", f"the test part has no {self.metric.name}; use {words}")
        if not own and self.confirm != Confirmation():
            raise error_at("confirm", "is for a training loop of your own: name its objective")
        if own and self.dead_value is None:
            raise error_at("dead_value", "say what a run of your loop counts as that dies")
        if self.training.precision == "auto":
            raise error_at("training.precision", "auto may differ between runs; name one")
        self._check_budget()
        return self

    def _check_budget(self) -> None:
        budget, pairs = self.budget, len(self.pairs)
        fewest = fewest_seeds(self.error / pairs)
        first = self.first_seeds
        many = "1 pair" if pairs == 1 else f"{pairs} pairs"
        if budget.most_seeds < max(fewest, first):
            why = (
                f"an error of {self.error:g} over {many} settles nothing before {fewest} seeds"
                if fewest >= first
                else f"the first round has {first}"
            )
            raise error_at("budget.most_seeds", f"{why}; give {max(fewest, first)} or more")
        needed = len(self.arms) * first
        if budget.most_runs is not None and budget.most_runs < needed:
            raise error_at(
                "budget.most_runs",
                f"the first round of {len(self.arms)} arms has {needed} runs; give that or more",
            )

    @model_validator(mode="after")
    def _arms_differ_in_what_they_say(self) -> Self:
        base = self.base_config()
        fixed, described = base.settings(), {}
        for name, arm in self.arms.items():
            where = f"arms.{name}"
            touched = {*arm.set, *map(setting_of, arm.search)}
            both = [n for n in arm.search if setting_of(n) in {*map(setting_of, self.search)}]
            if both:
                raise error_at(f"{where}.search.{both[0]}", "is tuned in every arm already")
            for tuned, parameter in self.search.items():
                for condition in set(parameter.when) & touched:
                    raise error_at(
                        f"{where}.{condition}",
                        f"decides whether {tuned} is tuned, so that the arms would not be tuned "
                        "alike; leave one of them out",
                    )
            try:
                settings = base.with_values(arm.set).settings()
            except ValueError:
                # Shown with its path once the arm's own spec is made.
                continue
            changed = {n for n in {**fixed, **settings} if settings.get(n) != fixed.get(n)}
            if unsaid := sorted(changed - {*arm.set}):
                raise error_at(where, f"changes {', '.join(unsaid)} too; set it as well")
            described[name] = (settings, arm.search)
        for one, other in combinations(described, 2):
            if described[one] == described[other]:
                raise error_at(f"arms.{other}", f"is the same as {one}")
        return self

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """What is compared: an arm, and the one that it is compared with."""
        if self.reference is None:
            return list(combinations(self.arms, 2))
        return [(name, self.reference) for name in self.arms if name != self.reference]

    @property
    def first_seeds(self) -> int:
        """Seeds of each arm in the first round."""
        return self.budget.seeds or fewest_seeds(self.error / len(self.pairs))

    @property
    def measured(self) -> Metric:
        """What the confirming runs measure and verdicts are about."""
        assert self.metric is not None
        if self.objective is not None:
            return self.confirm.metric or self.metric
        test = self.metric.name.replace("val_", "test_")
        return Metric(name=test, direction=self.metric.direction)

    def dead(self, classes: int | None) -> float:
        """Return what a run counts as that has no result: guessing, where nothing is said.

        Args:
            classes: of the images; ``None`` without images.
        """
        if self.dead_value is not None:
            return self.dead_value
        assert self.metric is not None
        assert classes is not None
        return float(_GUESSED[self.metric.name](classes))

    def seed_of(self, run: int) -> int:
        """Return the seed of an arm's n-th confirming run: the next after that of the tuning."""
        return (self.seed + 1 + run) % 2**32

    def explore_spec(self, arm: str) -> Spec:
        """Return the sweep that explores an arm."""
        sampler, pruner = {"name": "qmc"}, {"name": "none"}
        return self._arm_spec(arm, "explore", self.budget.explore, sampler=sampler, pruner=pruner)

    def tune_spec(self, arm: str) -> Spec:
        """Return the sweep that tunes an arm."""
        return self._arm_spec(arm, "tune", self.budget.tune)

    def confirm_spec(self, runs: int = 1) -> Spec:
        """Return the sweep whose trials are the confirming runs of all arms."""
        loop = self.confirm.objective or self.objective or _CONFIRM
        sampler, pruner = {"name": "random"}, {"name": "none"}
        return self._stage(
            "confirm", runs, "confirm", objective=loop, sampler=sampler, pruner=pruner
        )

    def _arm_spec(self, arm: str, stage: str, trials: int, **changes: Any) -> Spec:
        tree = self.model_dump(mode="json")
        chosen = tree["arms"][arm]
        try:
            base = self.base_config().with_values(self.arms[arm].set)
        except ValidationError as error:
            raise SweepsError(describe(error, f"arms.{arm}", RunConfig)) from None
        fixed = base.model_dump(mode="json")
        # What the arm sets is not searched; what it searches comes beside what all arms do.
        own = {n: p for n, p in tree["search"].items() if setting_of(n) not in chosen["set"]}
        changes = fixed | {"search": own | chosen["search"]} | changes
        return self._stage(f"{stage}.{arm}", trials, f"arms.{arm}", **changes)

    def _stage(self, stage: str, trials: int, source: str, **changes: Any) -> Spec:
        tree = self.model_dump(mode="json", include=set(Spec.model_fields))
        tree["name"] = f"{self.name}.{stage}"
        tree["budget"] = {"trials": trials, "retries": self.budget.retries}
        return parse_spec(tree | changes, source)


def load_comparison(name_or_path: str) -> ComparisonSpec:
    """Read a comparison: a preset by its name, or a YAML file.

    Raises:
        SweepsError: there is no such spec, or it is wrong; the message has every error's path.
    """
    return parse_comparison(*load_named(name_or_path, "comparisons", "comparison"))


def parse_comparison(tree: dict[str, Any], source: str) -> ComparisonSpec:
    """Make a comparison of its tree; check that whatever an arm sets or tunes makes a valid run.

    Raises:
        SweepsError: it is wrong.
    """
    if "arms" not in tree:
        raise SweepsError(f"{source}: has no arms to compare; sweeps run {source}")
    spec = validate(ComparisonSpec, tree, source)
    # By what is wrong, the arms of which it is.
    wrong: dict[str, list[str]] = {}
    for arm in spec.arms:
        try:
            spec.tune_spec(arm)
        except SweepsError as error:
            for line in str(error).splitlines():
                wrong.setdefault(line.removeprefix(f"arms.{arm}: "), []).append(arm)
    lines = []
    for line, arms in wrong.items():
        # What is wrong with all arms is wrong with what they share.
        everywhere = len(arms) == len(spec.arms)
        lines += [line] if everywhere else [f"arms.{arm}: {line}" for arm in arms]
    if lines:
        raise SweepsError("\n".join(f"{source}: {line}" for line in lines))
    return spec
