"""The spec of a sweep: what a person writes in YAML, or selects as a preset."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self
from urllib.parse import quote

from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from pydantic import AliasChoices, Field, field_validator, model_validator

from storage import DEFAULT_RETRIES
from sweeps.errors import SweepsError
from sweeps.spec.checks import mistakes
from sweeps.spec.config import RunConfig, VariedSetting
from sweeps.spec.data import NO_IMAGES
from sweeps.spec.files import load_named
from sweeps.spec.imports import kind_of
from sweeps.spec.metrics import DIRECTIONS, Direction, Metric
from sweeps.spec.pruners import AnyPruner, Asha
from sweeps.spec.samplers import AnySampler, CmaEs, Grid, Tpe
from sweeps.spec.search import Search, pick_values, setting_of
from sweeps.spec.validation import Section, error_at, unknown_name, validate

#: The rule for names of new studies: folders, jobs and command-line arguments are named after them.
STUDY_NAME_RULE = (
    "use letters, digits, '.', '_' and '-', a letter or digit first, at most 200 (outside of ASCII "
    "fewer)"
)
_NAME = re.compile(r"[^\W_][\w.-]*")


def is_study_name(name: str) -> bool:
    """Whether a new study can have the name."""
    return bool(_NAME.fullmatch(name)) and len(quote(name)) <= 200


def check_study_name(name: str, option: str) -> None:
    """Refuse a name that a new study cannot have.

    Args:
        name: the name.
        option: where it was given, ``--study``.

    Raises:
        SweepsError: it cannot be used.
    """
    if not is_study_name(name):
        shown = name if len(name) <= 40 else f"{name[:40]}..."
        raise SweepsError(f"{option} {shown!r}: {STUDY_NAME_RULE}")


class Baseline(Section):
    """A configuration that runs before anything is sampled and that the best is compared with.

    Searched settings that ``set`` leaves out take the spec's fixed value.
    """

    name: str = Field(min_length=1)
    set: dict[VariedSetting, Any] = Field(default_factory=dict)


class Budget(Section):
    """When a study has finished.

    Attributes:
        trials: number of trials of the study, over all workers and runs.
        minutes: a run starts no new trial after this time; running trials are finished.
        retries: how often a trial is retried when its worker died; the trial may be the cause.
    """

    trials: int | None = Field(None, ge=1)
    minutes: float | None = Field(None, gt=0)
    retries: int = Field(DEFAULT_RETRIES, ge=0)

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if self.trials is None and self.minutes is None:
            raise ValueError("give trials, minutes, or both: a sweep needs an end")
        return self


class Spec(RunConfig):
    """A sweep: the fixed values of a run's settings, and what is searched.

    Attributes:
        fallback: the dataset to use where ``data.name`` is not on disk and cannot be downloaded.
        metric: what is optimized: its value in the last epoch.
        objectives: several metrics instead of one.
        search: the settings that are searched, by dotted name.
        baselines: the configurations that the best is compared with; they run first and are never
            pruned. ``try_first`` is read as another name for it.
    """

    name: str
    description: str = ""
    fallback: str | None = None
    metric: Metric | None = Metric(name="val_accuracy", direction="maximize")
    objectives: list[Metric] = Field(default_factory=list)
    budget: Budget
    search: Search = Field(min_length=1)
    baselines: list[Baseline] = Field(
        default_factory=list, validation_alias=AliasChoices("baselines", "try_first")
    )
    sampler: AnySampler = Tpe()
    pruner: AnyPruner = Asha()

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        # Without its length, which is that of the study's name: an older study may have a longer.
        if not _NAME.fullmatch(name):
            raise ValueError(STUDY_NAME_RULE)
        return name

    @field_validator("baselines")
    @classmethod
    def _have_names_of_their_own(cls, baselines: list[Baseline]) -> list[Baseline]:
        names = [baseline.name for baseline in baselines]
        if len(set(names)) < len(names):
            raise ValueError(f"two baselines have the same name: {names}")
        return baselines

    @model_validator(mode="before")
    @classmethod
    def _know_defaults_of_own_loops(cls, tree: Any) -> Any:
        """A loop of your own gets images where the spec names some."""
        if not isinstance(tree, dict) or not tree.get("objective"):
            return tree
        return {"data": {"name": NO_IMAGES}, **tree}

    @model_validator(mode="after")
    def _options_have_a_loop(self) -> Self:
        if self.objective is None and self.options:
            raise error_at("options", "are for a training loop of your own: name its objective")
        if self.objective is None and self.data.name == NO_IMAGES:
            raise error_at("data.name", "only an objective of your own needs no images")
        return self

    @model_validator(mode="before")
    @classmethod
    def _know_defaults_of_several(cls, tree: Any) -> Any:
        """With several objectives there is no metric, and nothing is pruned."""
        if not isinstance(tree, dict) or not tree.get("objectives"):
            return tree
        if tree.get("metric") is not None:
            raise error_at("metric", "objectives take its place; leave one of them out")
        return {"pruner": {"name": "none"}, **tree, "metric": None}

    @model_validator(mode="after")
    def _objectives_fit(self) -> Self:
        if self.metric is None and not self.objectives:
            raise error_at("metric", "name one, as in metric: val_accuracy")
        where = "objectives" if self.objectives else "metric"
        for name in self.metrics:
            if name not in DIRECTIONS and self.objective is None:
                raise error_at(where, unknown_name(name, list(DIRECTIONS), "metric"))
        if not self.objectives:
            return self
        if len(set(self.metrics)) < max(len(self.metrics), 2):
            raise error_at("objectives", "name two different metrics or more; for one: metric")
        if kind_of(self.pruner) != "none":
            raise error_at(
                "pruner",
                "a trial that is worse by one objective may be better by another, so none is "
                "hopeless before its end; leave the pruner out, or give one metric",
            )
        if isinstance(self.sampler, CmaEs):
            raise error_at(
                "sampler.name", "cmaes takes one objective; use tpe, nsgaii, gp, qmc or random"
            )
        return self

    @property
    def metrics(self) -> list[str]:
        """The names of the metrics that decide; the first stands for all where one is shown."""
        return [metric.name for metric in self._deciding()]

    @property
    def directions(self) -> list[Direction]:
        """Their directions."""
        return [metric.direction for metric in self._deciding()]

    def _deciding(self) -> list[Metric]:
        return [self.metric] if self.metric else self.objectives

    def make_sampler(self, stream: int) -> BaseSampler:
        """Make the sampler of a worker.

        Args:
            stream: tells the study's workers apart: with one seed all would pick the same values.

        Raises:
            SweepsError: an imported one cannot be made.
        """
        with _without_optunas_warnings():
            return self.sampler.make((self.seed * 1_000_003 + stream) % 2**32, self.search)

    def make_pruner(self) -> BasePruner:
        """Make the pruner.

        Raises:
            SweepsError: an imported one cannot be made.
        """
        with _without_optunas_warnings():
            return self.pruner.make(self.training.epochs)

    def check_sampling(self) -> None:
        """Refuse a sampler or pruner that cannot be made, or that does not fit the budget.

        Raises:
            SweepsError: what is wrong and the remedy.
        """
        if isinstance(self.sampler, Grid):
            self.sampler.check(self.search, self.budget.trials, len(self.baselines))
        self.make_sampler(0)
        self.make_pruner()

    def base_config(self) -> RunConfig:
        """Return the run's settings before anything is searched."""
        return RunConfig(**{name: getattr(self, name) for name in RunConfig.model_fields})

    def baseline_values(self, baseline: Baseline) -> dict[str, Any]:
        """Return the values that a baseline sets, by dotted name, searched settings included."""
        fixed = self.base_config().settings()
        return pick_values(
            self.search, fixed, lambda name, _: fixed[setting_of(name)], baseline.set
        )


@contextmanager
def _without_optunas_warnings() -> Iterator[None]:
    """Half of Optuna's samplers and pruners call themselves experimental, and some outdated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def load_spec(name_or_path: str) -> Spec:
    """Read a spec: a preset by its name, or a YAML file.

    Raises:
        SweepsError: there is no such spec, or it is wrong; the message has every error's path.
    """
    return parse_spec(*load_named(name_or_path, "presets", "spec"))


def parse_spec(tree: dict[str, Any], source: str) -> Spec:
    """Make a spec of its tree; check that every value it can search or try makes a valid run.

    Raises:
        SweepsError: it is wrong.
    """
    if "source" in tree and "search" not in tree:
        raise SweepsError(f"{source}: is an exported configuration; sweeps train {source}")
    if "arms" in tree:
        raise SweepsError(f"{source}: is a comparison; sweeps compare {source}")
    spec = validate(Spec, tree, source)
    if wrong := mistakes(spec):
        raise SweepsError("\n".join(f"{source}: {line}" for line in wrong))
    return spec
