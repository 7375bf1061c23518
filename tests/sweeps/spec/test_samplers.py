"""Samplers by name: their options, what they pick, and what is refused."""

import itertools

import optuna
import pytest

from storage import CONFIGURATION, OVERRIDES
from sweeps.errors import SweepsError
from sweeps.spec.search import pick_values
from sweeps.spec.spec import parse_spec
from sweeps.study.study import split_values, trial_config

NAMES = ["tpe", "gp", "cmaes", "qmc", "nsgaii", "grid", "random"]


class Middle(optuna.samplers.RandomSampler):
    """A sampler of one's own."""

    def __init__(self, share: float, seed: int = 0) -> None:
        super().__init__(seed)
        self.share = share


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def make(small):
    """A spec with a sampler; the space has an end where that is a grid."""

    def call(sampler, **changes):
        small["sampler"] = sampler
        if sampler.get("name") == "grid":
            small["search"] = {
                "layer.growth": {"choice": [5, 7]},
                "layer.stride": {"int": [1, 4], "step": 3},
                "layer.edge": {"float": [0, 1], "step": 0.5},
            }
        small.update(changes)
        return parse_spec(small, "mine.yaml")

    return call


def pick(spec, trial):
    fixed = spec.base_config().settings()
    return pick_values(spec.search, fixed, lambda name, p: p.suggest(trial, name), {})


def picks(spec, count, stream=1):
    study = optuna.create_study(sampler=spec.make_sampler(stream))
    found = [pick(spec, study.ask())]
    while len(found) < count:
        study.tell(len(found) - 1, found[-1]["layer.edge"])
        found.append(pick(spec, study.ask()))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_values_lie_in_the_space_and_conditions_hold(make, name):
    spec = make({"name": name})
    for values in picks(spec, 12):
        assert all(spec.search[setting].contains(value) for setting, value in values.items())
        if name != "grid":
            assert ("layer.fade" in values) == (values["layer.growth"] == 7)


@pytest.mark.parametrize("name", NAMES)
def test_a_workers_picks_are_its_own_and_come_again(make, name):
    spec = make({"name": name})
    assert picks(spec, 3, stream=1) == picks(spec, 3, stream=1)
    if name != "grid":
        assert picks(spec, 3, stream=1) != picks(spec, 3, stream=2)


def modeled_after_the_baseline(spec):
    """The settings that the sixth trial takes from the sampler's model."""
    study = optuna.create_study(sampler=spec.make_sampler(1))
    params, overrides = split_values(spec, spec.baselines[0])
    study.enqueue_trial(params, user_attrs={CONFIGURATION: "plain", OVERRIDES: overrides})
    for _ in range(6):
        trial = study.ask()
        study.tell(trial, trial_config(spec, trial).layer.edge)
    return {*trial.relative_params}


@pytest.mark.parametrize(
    "sampler",
    [
        {"startup_trials": 2, "group": False},
        {"name": "gp", "startup_trials": 2},
        {"name": "cmaes"},
        {"name": "qmc"},
        {"name": "nsgaii", "population_size": 2, "mutation_prob": 0},
    ],
)
def test_after_a_baseline_of_another_layer_the_layer_is_still_modeled(make, small, sampler):
    plain = {"name": "plain", "set": {"layer.dilation": 1, "layer.growth": 3}}
    search = small["search"] | {"training.learning_rate": {"float": [0.01, 0.1]}}
    spec = make(sampler, baselines=[plain], search=search)
    assert {"layer.edge", "training.learning_rate"} <= modeled_after_the_baseline(spec)


@pytest.mark.parametrize("sampler", ["gp", "cmaes", "nsgaii"])
def test_a_condition_on_what_is_fixed_always_holds(make, small, sampler):
    """Such a setting is modeled together with those without a condition, others are not."""
    search = {
        "layer.edge": {"float": [0, 1], "when": {"layer.growth": 7}},
        "training.learning_rate": {"float": [0.01, 0.1]},
        "layer.corner": {"float": [0, 1]},
        "layer.init_scale": {"float": [0.5, 2], "when": {"layer.stride": 1}},
        "layer.stride": {"int": [1, 2]},
    }
    plain = {"name": "plain", "set": {"layer.dilation": 1, "layer.growth": 3}}
    options = {"population_size": 3} if sampler == "nsgaii" else {"startup_trials": 2}
    small["layer"] = {"growth": 7}
    spec = make({"name": sampler, **options}, baselines=[plain], search=search)
    assert modeled_after_the_baseline(spec) == {*search} - {"layer.init_scale"}


def test_a_grid_has_every_combination_once(make):
    found = [tuple(values.values()) for values in picks(make({"name": "grid"}), 12)]
    assert sorted(found) == sorted(itertools.product([5, 7], [1, 4], [0, 0.5, 1]))


@pytest.mark.filterwarnings("error")
def test_a_grids_highest_value_is_not_rounded_beyond_the_range(make):
    spec = make({"name": "grid"}, search={"layer.edge": {"float": [0, 0.3], "step": 0.1}})
    found = sorted(values["layer.edge"] for values in picks(spec, 4))
    assert found == [0, 0.1, 0.2, 0.3]


@pytest.mark.parametrize(
    ("search", "trials", "message"),
    [
        ({"layer.edge": {"float": [0, 1]}}, 4, "search.layer.edge: float needs a step"),
        ({"layer.stride": {"int": [1, 3]}}, 6, "the grid and the baselines have 5 trials"),
        ({"layer.stride": {"int": [1, 3]}}, None, "give a number up to that"),
        (
            {"layer.edge": {"float": [0, 1], "step": 1e-5}, "layer.stride": {"int": [1, 3]}},
            9,
            "search: the grid has 300,003 combinations, more than 100,000",
        ),
        (
            {
                "layer.growth": {"choice": [5, 7]},
                "layer.stride": {"int": [1, 2], "when": {"layer.growth": 7}},
            },
            4,
            "search.layer.stride.when: the grid sampler takes no conditions",
        ),
    ],
)
def test_a_grid_that_cannot_be_walked_is_refused(make, search, trials, message):
    spec = make({"name": "grid"}, budget={"trials": trials, "minutes": 1}, search=search)
    with pytest.raises(SweepsError, match=message):
        spec.check_sampling()


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        ({"name": "tpee"}, "sampler.name: no such name; did you mean tpe"),
        ({"startup_trails": 3}, "sampler.startup_trails: no such key; did you mean startup_trials"),
        (
            {"name": "gp", "multivariate": True},
            "sampler.multivariate: no such key; there are: name, startup_trials, determ",
        ),
        ({"name": "cmaes", "popsize": 1}, "sampler.popsize: has to be at least 2"),
        (
            {"name": "cmaes", "with_margin": True, "lr_adapt": True},
            "sampler: lr_adapt goes without with_margin",
        ),
        ({"multivariate": False, "group": True}, "sampler: group needs multivariate: true"),
        ({"import": "mysampler"}, "sampler.import: write module:name"),
        ("tpe", "sampler: expected keys and values"),
    ],
)
def test_what_is_wrong_is_refused_with_the_right_names(make, small, sampler, message):
    small["sampler"] = sampler
    with pytest.raises(SweepsError, match=f"^mine.yaml: {message}"):
        parse_spec(small, "mine.yaml")


class TestImported:
    REFERENCE = f"{__name__}:Middle"

    def test_it_is_made_with_its_options_and_a_seed(self, make):
        spec = make({"import": self.REFERENCE, "options": {"share": 0.5}})
        sampler = spec.make_sampler(3)
        assert type(sampler).__name__ == "Middle"
        assert sampler.share == 0.5
        assert spec.model_dump(mode="json")["sampler"] == {
            "import": self.REFERENCE,
            "options": {"share": 0.5},
        }

    @pytest.mark.parametrize(
        ("sampler", "message"),
        [
            ({"options": {"shere": 1}}, "sampler.options.shere: no such key; did you mean share"),
            ({}, "Middle.*missing 1 required positional argument: 'share'"),
            ({"import": "pathlib:Path", "options": {}}, "gave PosixPath, not BaseSampler"),
            ({"import": "sys:path"}, "is neither a class nor a function"),
        ],
    )
    def test_what_cannot_be_made_is_refused(self, make, sampler, message):
        spec = make({"import": self.REFERENCE, **sampler})
        with pytest.raises(SweepsError, match=message):
            spec.check_sampling()
