"""The search space: what trials pick, and how conditions act."""

import optuna
import pytest

from sweeps.spec.search import Parameter
from sweeps.spec.spec import parse_spec
from sweeps.study.study import trial_config


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
class TestPicking:
    def test_values_lie_in_the_space_and_conditions_hold(self, small):
        small["search"]["layer.stride"] = {"int": [1, 4], "step": 3}
        spec = parse_spec(small, "x")
        study = optuna.create_study(sampler=spec.make_sampler(1))
        seen = set()
        for _ in range(40):
            trial = study.ask()
            config = trial_config(spec, trial)
            seen.add(config.layer.growth)
            assert config.layer.growth in (5, 7)
            assert config.layer.stride in (1, 4)
            assert 0 <= config.layer.edge <= 1
            assert ("layer.fade" in trial.params) == (config.layer.growth == 7)
            if config.layer.growth == 5:
                assert config.layer.fade == 1.0
            study.tell(trial, config.layer.edge)
        assert seen == {5, 7}

    def test_settings_of_training_are_searched(self, small):
        searched = {
            "training.optimizer": {"choice": ["sgd", "adamw"]},
            "training.beta1": {"float": [0.8, 0.95], "when": {"training.optimizer": "adamw"}},
            "training.schedule": {"choice": ["one_cycle", "cosine", "step", "constant"]},
            "training.clip_norm": {"choice": [None, 1.0]},
            "training.ema": {"choice": [0.0, 0.99]},
            "training.decay_all": {"choice": [True, False]},
            "training.mixup": {"float": [0.0, 0.4]},
            "training.crop_scale_min": {"float": [0.3, 1.0]},
        }
        spec = parse_spec({**small, "search": searched}, "x")
        study = optuna.create_study(sampler=spec.make_sampler(1))
        optimizers = set()
        for _ in range(10):
            trial = study.ask()
            config = trial_config(spec, trial)
            assert all(config.value(name) == trial.params[name] for name in trial.params)
            assert ("training.beta1" in trial.params) == (config.training.optimizer == "adamw")
            optimizers.add(config.training.optimizer)
            study.tell(trial, 0.0)
        assert optimizers == {"sgd", "adamw"}

    def test_overrides_are_no_parameters(self, small):
        spec = parse_spec(small, "x")
        study = optuna.create_study()
        study.enqueue_trial({}, user_attrs={"overrides": {"layer.dilation": 1, "layer.growth": 3}})
        trial = study.ask()
        config = trial_config(spec, trial)
        assert (config.layer.dilation, config.layer.growth) == (1, 3)
        assert "layer.growth" not in trial.params
        assert "layer.fade" not in trial.params


class TestParameter:
    @pytest.mark.parametrize(
        ("tree", "inside", "outside"),
        [
            ({"float": [0, 1]}, [0, 0.5, 1], [-0.1, 1.1, None, "a", True]),
            ({"int": [2, 8]}, [2, 8, 4.0], [1, 9, 2.5]),
            ({"int": [1, 7], "step": 3}, [1, 4, 7], [2, 3, 10]),
            ({"float": [0, 1], "step": 0.1}, [0, 0.3, 0.7], [0.05]),
            ({"choice": [5, None, "a"]}, [5, None, "a"], [3, "b"]),
            ({"choice": [True]}, [True], [1]),
        ],
    )
    def test_what_it_contains(self, tree, inside, outside):
        parameter = Parameter.model_validate(tree)
        assert all(parameter.contains(value) for value in inside)
        assert not any(parameter.contains(value) for value in outside)

    def test_a_condition_takes_one_value_or_several(self):
        several = Parameter.model_validate({"int": [1, 2], "when": {"a": [5, 7], "b": True}})
        values = {"a": 7, "b": True}
        assert several.is_active(values.__getitem__)
        assert not several.is_active({**values, "a": 6}.__getitem__)
