"""The search space: what trials pick, and how conditions act."""

import optuna
import pytest

from sweeps.errors import SweepsError
from sweeps.spec.search import Parameter
from sweeps.spec.spec import parse_spec
from sweeps.study.study import split_values, trial_config


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def picks(tree, search, **sections):
    """Twelve trials at random, each with its configuration."""
    spec = parse_spec({**tree, "baselines": [], "search": search, **sections}, "mine.yaml")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trials = [study.ask() for _ in range(12)]
    return [(trial, trial_config(spec, trial)) for trial in trials]


def test_a_range_for_each_optimizer(small):
    rate = "training.learning_rate"
    search = {
        "training.optimizer": {"choice": ["sgd", "adamw"]},
        f"{rate}@sgd": {"float": [0.1, 1.0], "when": {"training.optimizer": "sgd"}},
        f"{rate}@adamw": {"float": [0.001, 0.01], "when": {"training.optimizer": "adamw"}},
        "layer.edge": {"float": [0, 1], "when": {rate: 7}},
    }
    with pytest.raises(SweepsError, match=f"edge.when: {rate} is searched and never 7"):
        picks(small, search)
    del search["layer.edge"]
    seen = set()
    for trial, config in picks(small, search):
        kind = config.training.optimizer
        seen.add(kind)
        assert trial.params == {
            "training.optimizer": kind,
            f"{rate}@{kind}": config.training.learning_rate,
        }
        assert (config.training.learning_rate >= 0.1) == (kind == "sgd")
    assert seen == {"sgd", "adamw"}

    small["baselines"] = [{"name": "a", "set": {"training.optimizer": "adamw", rate: 0.005}}]
    spec = parse_spec({**small, "search": search}, "mine.yaml")
    params, overrides = split_values(spec, spec.baselines[0])
    assert params == {"training.optimizer": "adamw", f"{rate}@adamw": 0.005}
    assert overrides == {}
    small["baselines"] = [{"name": "fixed", "set": {"training.optimizer": "sgd"}}]
    spec = parse_spec({**small, "search": search}, "mine.yaml")
    assert spec.baseline_values(spec.baselines[0])[rate] == spec.training.learning_rate


def test_two_ranges_at_once_are_refused(small):
    search = {"layer.edge@a": {"float": [0, 0.5]}, "layer.edge@b": {"float": [0.5, 1]}}
    with pytest.raises(SweepsError, match=r"edge@b: is searched together with layer\.edge@a"):
        picks(small, search)


def test_values_for_each_axis_are_chosen(small):
    search = {
        "layer.dilation": {"choice": [2, [2, 3]]},
        "layer.stride": {"choice": [1, [1, 2]]},
        "layer.edge": {"float": [0, 1], "when": {"layer.dilation": [[2, 3]]}},
    }
    layers = [config.layer for _, config in picks(small, search)]
    assert {layer.dilation for layer in layers} == {2, (2, 3)}
    assert {layer.stride for layer in layers} == {1, (1, 2)}
    assert all((layer.edge != 0.5) == (layer.dilation == (2, 3)) for layer in layers)

    small["baselines"] = [{"name": "wide", "set": {"layer.dilation": [2, 3]}}]
    spec = parse_spec({**small, "search": search}, "mine.yaml")
    params, _ = split_values(spec, spec.baselines[0])
    assert params == {"layer.dilation": "[2, 3]", "layer.edge": 0.5, "layer.stride": 1}


def test_options_of_an_optimizer_are_searched(small):
    optimizer = {"import": "torch.optim:NAdam", "options": {"momentum_decay": 0.004}}
    option = "training.optimizer.options.momentum_decay"
    search = {option: {"float": [0.001, 0.01]}}
    training = {**small["training"], "optimizer": optimizer}
    for trial, config in picks(small, search, training=training):
        assert config.training.optimizer.options == {"momentum_decay": trial.params[option]}
    other = {"training.optimizer.options.momentum": {"float": [0, 1]}}
    with pytest.raises(
        SweepsError, match=r"give momentum a value under training\.optimizer\.options"
    ):
        picks(small, other, training=training)
    # A baseline may have another optimizer, which has no such option.
    own = {"import": "torch.optim:RAdam", "options": {"eps": 1e-6}}
    small["baselines"] = [
        {"name": "sgd", "set": {"training.optimizer": "sgd"}},
        {"name": "own", "set": {"training.optimizer": own}},
    ]
    spec = parse_spec({**small, "search": search, "training": training}, "mine.yaml")
    sgd, other = (
        spec.base_config().with_values(spec.baseline_values(baseline)).training.optimizer
        for baseline in spec.baselines
    )
    assert sgd == "sgd"
    assert other.options == {"eps": 1e-6}
    assert option not in split_values(spec, spec.baselines[1])[0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("training.optimizer.options.momentum", "name it with training.optimizer.import"),
        ("model.options.width", "model.options are those of code of your own: name it with"),
        ("options.lr", "options are those of code of your own: name it with objective"),
    ],
)
def test_options_that_nothing_takes_are_refused(small, name, message):
    with pytest.raises(SweepsError, match=f"mine.yaml: search.{name}: .*{message}"):
        picks(small, {name: {"float": [0, 1]}})


def test_overrides_are_no_parameters(small):
    spec = parse_spec(small, "x")
    study = optuna.create_study()
    study.enqueue_trial({}, user_attrs={"overrides": {"layer.dilation": 1, "layer.growth": 3}})
    trial = study.ask()
    config = trial_config(spec, trial)
    assert (config.layer.dilation, config.layer.growth) == (1, 3)
    assert "layer.growth" not in trial.params
    assert "layer.fade" not in trial.params


@pytest.mark.parametrize(
    ("tree", "inside", "outside"),
    [
        ({"float": [0, 1]}, [0, 0.5, 1], [-0.1, 1.1, None, "a", True]),
        ({"int": [2, 8]}, [2, 8, 4.0], [1, 9, 2.5]),
        ({"int": [1, 7], "step": 3}, [1, 4, 7], [2, 3, 10]),
        ({"float": [0, 1], "step": 0.1}, [0, 0.3, 0.7], [0.05]),
        ({"choice": [5, None, "a", [1, 2]]}, [5, None, "a", [1, 2]], [3, "b", "[1, 2]"]),
        ({"choice": [True]}, [True], [1]),
    ],
)
def test_what_a_parameter_contains(tree, inside, outside):
    parameter = Parameter.model_validate(tree)
    assert all(parameter.contains(value) for value in inside)
    assert not any(parameter.contains(value) for value in outside)


def test_a_large_range_of_whole_numbers_is_checked_at_once():
    assert Parameter.model_validate({"int": [1, 10**15]}).probes()[-1] == 10**15
