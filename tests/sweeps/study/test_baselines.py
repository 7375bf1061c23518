"""Baselines: what of their values are parameters, and what their trials run."""

import optuna

from sweeps.spec.spec import parse_spec
from sweeps.study.study import split_values, trial_config


class TestValues:
    """Which of a baseline's values are its trial's parameters."""

    def _split(self, small, **settings):
        small["baselines"] = [{"name": "it", "set": settings.pop("set")}]
        small.update(settings)
        spec = parse_spec(small, "x")
        return split_values(spec, spec.baselines[0])

    def test_within_the_space_all_are(self, small):
        params, overrides = self._split(small, set={"layer.growth": 7, "layer.fade": 2.0})
        assert params == {
            "layer.growth": 7,
            "layer.fade": 2.0,
            "layer.edge": 0.5,
            "layer.init_scale": 1.0,
        }
        assert overrides == {}

    def test_of_another_layer_none_is(self, small):
        """An edge of 0.5 says nothing of edges where there is no interpolation."""
        small["search"]["training.learning_rate"] = {"float": [0.01, 0.1]}
        params, overrides = self._split(small, set={"layer.dilation": 1, "layer.growth": 3})
        assert params == {"training.learning_rate": 0.05}
        assert overrides["layer.growth"] == 3
        assert overrides["layer.edge"] == 0.5

    def test_what_a_condition_would_drop_is_fixed(self, small):
        _, overrides = self._split(small, set={"layer.growth": 9, "layer.fade": 3.0})
        assert (overrides["layer.growth"], overrides["layer.fade"]) == (9, 3.0)

    def test_its_trial_runs_just_that(self, small):
        small["baselines"] = [{"name": "it", "set": {"layer.growth": 9, "layer.fade": 3.0}}]
        spec = parse_spec(small, "x")
        params, overrides = split_values(spec, spec.baselines[0])
        study = optuna.create_study()
        study.enqueue_trial(params, user_attrs={"overrides": overrides})
        layer = trial_config(spec, study.ask()).layer
        assert (layer.growth, layer.fade, layer.edge) == (9, 3.0, 0.5)
