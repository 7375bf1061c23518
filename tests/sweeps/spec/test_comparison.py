"""Specs of comparisons: what they mean, and what is refused before anything runs."""

import copy

import pytest

from sweeps.errors import SweepsError
from sweeps.spec import shipped_names
from sweeps.spec.arms import ARMS
from sweeps.spec.comparison import load_comparison, parse_comparison
from sweeps.spec.files import load_yaml

TREE = {
    "name": "c",
    "data": {"name": "patterns", "size": 16},
    "search": {
        "training.learning_rate": {"float": [0.01, 0.1], "log": True},
        "layer.init_scale": {"float": [0.5, 2.0], "log": True},
    },
    "arms": ["plain-3x3", "linear-7x7", "tuned-7x7", "forum-7x7"],
    "sampler": {"name": "tpe", "startup_trials": 2},
    "pruner": {"name": "median", "min_epochs": 1, "startup_trials": 2},
}
BEFORE = {"layer.growth": 5, "layer.edge": 0.0, "layer.corner": 0.0}


@pytest.fixture
def tree():
    return copy.deepcopy(TREE)


@pytest.mark.parametrize("name", shipped_names("comparisons"))
def test_presets_compare_with_a_plain_convolution(name):
    spec = load_comparison(name)
    assert spec.reference == "plain-3x3"
    assert "linear-7x7" in spec.arms
    assert spec.margin == 0.005
    assert parse_comparison(spec.model_dump(mode="json"), "again") == spec


def test_every_arm_that_ships_can_be_trained(tree):
    spec = parse_comparison(tree | {"arms": [*ARMS]}, "c.yaml")
    for name in ARMS:
        config = spec.tune_spec(name).base_config()
        for setting, value in ARMS[name]["set"].items():
            assert config.settings()[setting] == value


def test_all_arms_tune_the_same_in_the_same_number_of_trials(tree):
    spec = parse_comparison(tree, "c.yaml")
    shared = {"training.learning_rate", "layer.init_scale"}
    own = {"layer.edge", "layer.corner", "layer.fade"}
    for arm, searched in {
        "plain-3x3": shared,
        "linear-7x7": shared,
        # What it tunes beside, and what it fixes, is what it says.
        "tuned-7x7": shared | own,
        "forum-7x7": {"training.learning_rate"},
    }.items():
        tune, explore = spec.tune_spec(arm), spec.explore_spec(arm)
        assert {*tune.search} == {*explore.search} == searched
        assert (tune.budget.trials, explore.budget.trials) == (24, 16)
        assert (tune.sampler, tune.pruner) == (spec.sampler, spec.pruner)
        assert (explore.sampler.name, explore.pruner.name) == ("qmc", "none")


def test_pairs_are_with_the_reference_or_all(tree):
    spec = parse_comparison(tree, "c.yaml")
    arms = tree["arms"]
    assert spec.pairs == [(arm, "plain-3x3") for arm in arms[1:]]
    spec = parse_comparison(tree | {"reference": "linear-7x7"}, "c.yaml")
    assert spec.pairs == [(arm, "linear-7x7") for arm in arms if arm != "linear-7x7"]
    spec = parse_comparison(tree | {"reference": None}, "c.yaml")
    assert len(spec.pairs) == 6


def test_precision_is_one_for_all_arms(tree):
    assert parse_comparison(tree, "c.yaml").training.precision == "float32"
    with pytest.raises(SweepsError, match=r"training\.precision: auto may differ between runs"):
        parse_comparison(tree | {"training": {"precision": "auto"}}, "c.yaml")


@pytest.mark.parametrize(
    ("metric", "measured", "classes", "dead"),
    [
        ("val_accuracy", "test_accuracy", 10, 0.1),
        ("val_top5", "test_top5", 10, 0.5),
        ("val_loss", "test_loss", 1, 0.0),
    ],
)
def test_verdicts_are_about_the_test_part_and_dead_runs_guess(
    tree, metric, measured, classes, dead
):
    spec = parse_comparison(tree | {"metric": metric}, "c.yaml")
    assert spec.measured.name == measured
    assert spec.dead(classes) == dead


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arms": ["plain-3x3"]}, "arms: name two arms or more"),
        ({"arms": ["plain-3x3", "plain-3x3"]}, "arms: two arms have the name plain-3x3"),
        ({"arms": ["plain-3x3", "linear"]}, "linear: no such arm; did you mean linear-"),
        ({"arms": {"a b": {"set": BEFORE}, "c": {}}}, "'a b': use letters, digits"),
        ({"arms": {"a": {"set": BEFORE}, "b": {"set": BEFORE}}}, "arms.b: is the same as a"),
        (
            {"arms": {"a": {"set": {"layer.growth": 4}}, "b": {}}},
            "arms.a: layer: growth 4 does not fit",
        ),
        (
            {"arms": {"a": {"set": {"training.epochs": 4}}, "b": {}}},
            "arms.a.set.training.epochs: trials could not be compared",
        ),
        (
            {"arms": {"a": {"set": {"model.name": "resnet50"}}, "b": {}}},
            "arms.a: changes layer.stride too; set it as well",
        ),
        (
            {"arms": {"a": {"search": {"layer.init_scale": {"float": [1, 2]}}}, "b": {}}},
            "arms.a.search.layer.init_scale: is tuned in every arm already",
        ),
        (
            {
                "arms": {"a": {"set": {"training.optimizer": "adamw"}}, "b": {}},
                "search": {
                    "training.momentum": {"float": [0, 0.9], "when": {"training.optimizer": "sgd"}}
                },
            },
            "arms.a.training.optimizer: decides whether training.momentum is tuned",
        ),
        ({"margin": 0}, "margin: has to be above 0"),
        ({"margin": -0.1}, "margin: has to be above 0"),
        ({"error": 1}, "error: has to be below 1"),
        ({"reference": "plain"}, "reference: no such arm; did you mean plain-3x3?"),
        (
            {"budget": {"most_seeds": 5}},
            "budget.most_seeds: an error of 0.05 over 3 pairs settles nothing before 6 seeds",
        ),
        (
            {"budget": {"seeds": 12, "most_seeds": 10}},
            "budget.most_seeds: the first round has 12; give 12 or more",
        ),
        (
            {"budget": {"most_runs": 23}},
            "budget.most_runs: the first round of 4 arms has 24 runs; give that or more",
        ),
        ({"arms": "plain-3x3"}, "arms: give a list of names, or what each arm sets"),
        ({"arms": ["plain-3x3", {"mine": {}}]}, "arms: a list has names alone; give all by name"),
        ({"budget": {"trials": 20}}, "budget.trials: leave it out: an arm has budget.explore"),
        ({"metric": "step_ms"}, "metric: the test part has no step_ms; use val_accuracy"),
        ({"objectives": ["val_accuracy", "step_ms"]}, "one metric"),
        ({"baselines": [{"name": "x"}]}, "baselines: a comparison has arms instead"),
        ({"confirm": {"objective": "a:b"}}, "confirm: is for a training loop of your own"),
        ({"objective": "a:b"}, "dead_value: say what a run of your loop counts as that dies"),
    ],
)
def test_what_is_refused(tree, change, message):
    with pytest.raises(SweepsError) as refused:
        parse_comparison(tree | change, "c.yaml")
    assert message in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_every_arm_that_does_not_fit_is_named(tree):
    arms = {
        "a": {"set": {"layer.growth": 4}},
        "b": {},
        "c": {"search": {"layer.fade": {"float": [0, 100]}}},
    }
    with pytest.raises(SweepsError) as refused:
        parse_comparison(tree | {"arms": arms}, "c.yaml")
    one, two = str(refused.value).splitlines()
    assert one.startswith("c.yaml: arms.a: layer: growth 4 does not fit")
    assert two.startswith("c.yaml: arms.c: search.layer.fade: ")
    search = {"training.ema": {"float": [0, 2]}}
    with pytest.raises(SweepsError, match=r"^c\.yaml: search\.training\.ema: [^\n]*$"):
        parse_comparison(tree | {"search": search}, "c.yaml")


def test_a_name_written_twice_is_refused_with_its_line():
    text = "arms:\n  a: {set: {layer.growth: 5}}\n  a: {set: {layer.growth: 7}}\n"
    with pytest.raises(SweepsError, match=r"c\.yaml.*line 3.*a"):
        load_yaml(text, "c.yaml")


def test_a_sweep_is_no_comparison():
    with pytest.raises(SweepsError, match="has no arms to compare"):
        parse_comparison({"name": "c"}, "c.yaml")
