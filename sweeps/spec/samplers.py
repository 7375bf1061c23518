"""Optuna's samplers as a spec names them: their options, and how each is made."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Annotated, Any, Literal, Self, cast

from optuna.distributions import BaseDistribution
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    GridSampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from pydantic import Discriminator, Field, Tag, model_validator

from storage import CONFIGURATION, HardenedStorage, batch
from sweeps.errors import SweepsError
from sweeps.spec.imports import ImportedCode, kind_of, make_imported
from sweeps.spec.search import Parameter, as_param, setting_of
from sweeps.spec.validation import Section

Search = Mapping[str, Parameter]

#: Options that are called ``n_startup_trials`` and so on in Optuna.
_COUNTS = ("startup_trials", "ei_candidates")


_LARGEST_GRID = 100_000


class Sampler(Section, ABC):
    """How values are picked."""

    @abstractmethod
    def make(self, seed: int, search: Search) -> BaseSampler:
        """Make Optuna's sampler for one worker, whose seed differs from every other worker's."""

    def arguments(self) -> dict[str, Any]:
        """Return the options under Optuna's names."""
        options = self.model_dump(exclude={"name"})
        return {f"n_{name}" if name in _COUNTS else name: v for name, v in options.items()}


class Tpe(Sampler):
    """Tree-structured Parzen estimators (Bergstra et al., 2011).

    Attributes:
        startup_trials: that complete or are pruned, baselines among them, before the model is
            used; until then values are picked at random.
        multivariate: model the settings together.
        group: model settings that are searched under the same conditions together; only with
            ``multivariate``, and then the default.
        constant_liar: take running trials for bad ones, so that workers do not all pick nearby.
        ei_candidates: values that are compared for each pick.
    """

    name: Literal["tpe"] = "tpe"
    startup_trials: int = Field(8, ge=0)
    multivariate: bool = True
    group: bool | None = None
    constant_liar: bool = True
    ei_candidates: int = Field(24, ge=1)

    @model_validator(mode="after")
    def _groups_are_multivariate(self) -> Self:
        if self.group and not self.multivariate:
            raise ValueError("group needs multivariate: true")
        return self

    def make(self, seed: int, search: Search) -> BaseSampler:
        group = self.multivariate if self.group is None else self.group
        made = TPESampler(**{**self.arguments(), "group": group}, seed=seed)
        return Joint(made, search) if self.multivariate and not group else made


class Gp(Sampler):
    """Gaussian process with expected improvement; settings with a condition are picked at random.

    Attributes:
        startup_trials: that complete before the model is used; they are picked at random.
        deterministic_objective: the same configuration always gives the same value.
    """

    name: Literal["gp"]
    startup_trials: int = Field(10, ge=1)
    deterministic_objective: bool = False

    def make(self, seed: int, search: Search) -> BaseSampler:
        made = GPSampler(**self.arguments(), warn_independent_sampling=False, seed=seed)
        return Joint(made, search)


class CmaEs(Sampler):
    """CMA-ES (Hansen, 2016); choices and settings with a condition are picked at random.

    Attributes:
        startup_trials: that complete before it begins; they are picked at random.
        sigma0: the initial step, in units of the search space; a sixth of it by default.
        popsize: completed trials of one generation; by default 4 + floor(3 ln(settings)).
        with_margin: keep whole numbers from collapsing to one value.
        lr_adapt: adapt the learning rate, for noisy values; not with ``with_margin``.
    """

    name: Literal["cmaes"]
    startup_trials: int = Field(1, ge=1)
    sigma0: float | None = Field(None, gt=0)
    popsize: int | None = Field(None, ge=2)
    with_margin: bool = False
    lr_adapt: bool = False

    @model_validator(mode="after")
    def _has_one_variant(self) -> Self:
        if self.lr_adapt and self.with_margin:
            raise ValueError("lr_adapt goes without with_margin; leave one of them out")
        return self

    def make(self, seed: int, search: Search) -> BaseSampler:
        made = CmaEsSampler(**self.arguments(), warn_independent_sampling=False, seed=seed)
        return Joint(made, search)


class Qmc(Sampler):
    """Quasi-random points, more even than random ones.

    Attributes:
        qmc_type: the sequence.
        scramble: randomize it. Every worker then walks a sequence of its own; without, workers
            share one, and two that ask at the same moment may get the same point.
    """

    name: Literal["qmc"]
    qmc_type: Literal["sobol", "halton"] = "sobol"
    scramble: bool = True

    def make(self, seed: int, search: Search) -> BaseSampler:
        # The first trial is drawn at random: unlike that of a sampler which goes on from this one.
        seed = (seed + 2**31) % 2**32
        made = QMCSampler(**self.arguments(), warn_independent_sampling=False, seed=seed)
        return Joint(made, search)


class Nsgaii(Sampler):
    """The genetic algorithm NSGA-II (Deb et al., 2002), for one objective or several.

    Settings with a condition are picked at random.

    Attributes:
        population_size: completed trials of one generation.
        mutation_prob: of each setting being picked at random; by default one over their number.
        crossover_prob: of a child having two parents.
        swapping_prob: of each setting coming from the second parent.
    """

    name: Literal["nsgaii"]
    population_size: int = Field(50, ge=2)
    mutation_prob: float | None = Field(None, ge=0, le=1)
    crossover_prob: float = Field(0.9, ge=0, le=1)
    swapping_prob: float = Field(0.5, ge=0, le=1)

    def make(self, seed: int, search: Search) -> BaseSampler:
        return Joint(NSGAIISampler(**self.arguments(), seed=seed), search)


class Grid(Sampler):
    """Every combination of the settings' values once, in an order without a pattern."""

    name: Literal["grid"]

    def make(self, seed: int, search: Search) -> BaseSampler:
        return SharedGrid({name: [*map(as_param, p.values())] for name, p in search.items()})

    def check(self, search: Search, trials: int | None, baselines: int) -> None:
        """Refuse a space without an end, and more trials than it has combinations.

        Raises:
            SweepsError: what is wrong and the remedy.
        """
        for name, parameter in search.items():
            if parameter.when:
                raise SweepsError(
                    f"search.{name}.when: the grid sampler takes no conditions; take another "
                    "sampler, or search without"
                )
            try:
                parameter.values()
            except ValueError as error:
                raise SweepsError(f"search.{name}: {error}, for the grid sampler") from None
        size = prod(len(parameter.values()) for parameter in search.values())
        if size > _LARGEST_GRID:
            raise SweepsError(
                f"search: the grid has {size:,} combinations, more than {_LARGEST_GRID:,}; search "
                "fewer values, or take another sampler"
            )
        size += baselines
        if trials is None or trials > size:
            raise SweepsError(
                f"budget.trials: the grid and the baselines have {size} trials; "
                f"give a number up to that"
            )


class SharedGrid(GridSampler):
    """Optuna's grid for workers in several processes: none takes a combination of another.

    Optuna's orders the combinations by its seed and names them by their place in that order, lets
    two processes take the same one at the same moment, and fails where a baseline ends last.
    """

    def __init__(self, values: Mapping[str, Sequence[Any]]) -> None:
        super().__init__(values, seed=0)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        known = trial.system_attrs
        if "grid_id" in known or known.get("fixed_params") or CONFIGURATION in trial.user_attrs:
            return

        def take() -> None:
            left = self._get_unvisited_grid_ids(study)
            attributes: dict[str, Any] = {
                "search_space": self._search_space,
                "grid_id": min(left, default=trial.number % self._n_min_trials),
            }
            for name, value in attributes.items():
                study._storage.set_trial_system_attr(trial._trial_id, name, value)

        storage = getattr(study._storage, "_backend", None)
        if isinstance(storage, HardenedStorage):
            batch(storage, study._study_id, take)
        else:
            take()

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Do nothing: the budget says when a study is done."""


class Joint(BaseSampler):
    """A sampler that models together the settings which all sampled trials have.

    To Optuna's, such a setting is one that *all* trials picked: after one baseline that fixes it,
    it would be picked at random for ever. So trials that lack such a setting are hidden from the
    sampler. Settings that some sampled trials lack are picked at random.
    """

    def __init__(self, sampler: BaseSampler, search: Search) -> None:
        self._sampler = sampler
        searched = {setting_of(name) for name in search}
        # A condition on a setting that is not searched holds for every sampled trial.
        self._names = {name for name, p in search.items() if searched.isdisjoint(p.when)}

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        space = self._sampler.infer_relative_search_space(self._seen(study), trial)
        return {name: space[name] for name in space if name in self._names}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._sampler.sample_relative(self._seen(study), trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        seen = self._seen(study)
        return self._sampler.sample_independent(seen, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._sampler.before_trial(self._seen(study), trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        self._sampler.after_trial(self._seen(study), trial, state, values)

    def reseed_rng(self) -> None:
        self._sampler.reseed_rng()

    def _seen(self, study: Study) -> Study:
        return cast(Study, _Seen(study, self._has_all))

    def _has_all(self, trial: FrozenTrial) -> bool:
        """Whether a trial has, or still may pick, all settings that are modeled together."""
        return not trial.state.is_finished() or self._names <= trial.params.keys()


class _Seen:
    """A study with some of its trials, as far as samplers look at it."""

    def __init__(self, study: Study, shows: Callable[[FrozenTrial], bool]) -> None:
        self._study = study
        self._shows = shows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def _get_trials(self, *arguments: Any, **options: Any) -> list[FrozenTrial]:
        return [*filter(self._shows, self._study._get_trials(*arguments, **options))]


class Random(Sampler):
    """Every value alike likely."""

    name: Literal["random"]

    def make(self, seed: int, search: Search) -> BaseSampler:
        return RandomSampler(seed=seed)


class ImportedSampler(ImportedCode, Sampler):
    """A subclass of ``optuna.samplers.BaseSampler``; ``seed`` is added where it takes one."""

    def make(self, seed: int, search: Search) -> BaseSampler:
        made: BaseSampler = make_imported(
            self.import_, self.options, "sampler", BaseSampler, seed=seed
        )
        return made


AnySampler = Annotated[
    Annotated[Tpe, Tag("tpe")]
    | Annotated[Gp, Tag("gp")]
    | Annotated[CmaEs, Tag("cmaes")]
    | Annotated[Qmc, Tag("qmc")]
    | Annotated[Nsgaii, Tag("nsgaii")]
    | Annotated[Grid, Tag("grid")]
    | Annotated[Random, Tag("random")]
    | Annotated[ImportedSampler, Tag("import")],
    Discriminator(lambda tree: kind_of(tree, "tpe")),
]
