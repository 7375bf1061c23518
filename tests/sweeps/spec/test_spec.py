"""Specs: what is allowed, what is refused and in which words."""

import pytest

from sweeps.errors import SweepsError
from sweeps.spec import shipped_names
from sweeps.spec.config import RunConfig
from sweeps.spec.spec import load_spec, parse_spec


class TestPresets:
    def test_three_come_with_the_package(self):
        assert shipped_names("presets") == ["cifar10", "imagenette", "quick"]

    @pytest.mark.parametrize("name", ["quick", "cifar10", "imagenette"])
    def test_they_search_what_the_project_is_about_and_compare_it(self, name):
        spec = load_spec(name)
        wanted = {
            f"layer.{k}" for k in ("edge", "corner", "growth", "fade", "init_scale", "stride")
        }
        assert wanted | {"training.learning_rate"} <= set(spec.search)
        layers = [
            spec.base_config().with_values(spec.baseline_values(c)).layer for c in spec.baselines
        ]
        assert any(layer.growth == 3 and layer.dilation == 1 for layer in layers)
        assert any(layer.growth == 5 and layer.edge == layer.corner == 0 for layer in layers)
        assert any(layer.growth == 5 and layer.edge == 0.5 for layer in layers)
        assert any(layer.growth == 7 and layer.init_scale == 1.5 for layer in layers)

    def test_the_baselines_former_name_is_read(self):
        tree = load_spec("quick").model_dump(mode="json")
        tree["try_first"] = tree.pop("baselines")
        assert parse_spec(tree, "quick") == load_spec("quick")

    def test_quick_is_small_and_falls_back(self):
        spec = load_spec("quick")
        assert spec.fallback == "patterns"
        assert spec.budget.trials >= 16
        assert spec.budget.minutes < 10

    def test_a_typo_names_the_nearest(self):
        with pytest.raises(SweepsError, match="did you mean quick"):
            load_spec("quik")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("serach", 1, "serach: no such key; did you mean search?"),
        ("epochs", 5, "epochs: no such key; write training: {epochs: ...}"),
        ("layer.stride", 2, "layer.stride: no such key; write layer: {stride: ...}"),
        ("sampler", "tpe", "sampler: expected keys and values, as in {name: tpe} (given: 'tpe')"),
        ("name", "a/b", "name: use letters"),
        ("name", 7, "name: has to be text; put it in quotes (given: 7)"),
        ("budget", {}, "budget: give trials, minutes, or both"),
        ("seed", 2**64, "seed: has to be below 4294967296"),
        ("search", {}, "search: is empty"),
        # Keys of the search space.
        ("search/layer.egde", {"float": [0, 1]}, "search.layer.egde: no such key; did you mean l"),
        ("search/layer.edge", [0, 1], "search.layer.edge: expected keys and values, as in {float:"),
        ("search/training.lr", {"float": [0, 1]}, "training.lr: no such key; there are: train"),
        ("search/corner", {"float": [0, 1]}, "search.corner: no such key; did you mean layer.c"),
        (
            "search/seed",
            {"int": [0, 9]},
            "search.seed: trials could not be compared; give it once, outside of search and",
        ),
        (
            "search/data.size",
            {"choice": [16, 32]},
            "data.size: trials could not be compared",
        ),
        # A parameter.
        (
            "search/layer.edge",
            {"flaot": [0, 1]},
            "layer.edge.flaot: no such key; did you mean float",
        ),
        ("search/layer.edge", {"float": [0, 1], "int": [0, 1]}, "give exactly one of float"),
        (
            "search/layer.edge",
            {"float": [1, 0]},
            "edge: the lowest value 1.0 is above",
        ),
        ("search/layer.edge", {"float": [1]}, "search.layer.edge.float: has too few values"),
        ("search/layer.edge", {"float": [1, 2, 3]}, "edge.float: takes 2 values, not 3"),
        ("search/layer.edge", {"float": ["a", 2]}, "layer.edge.float.0: has to be a number (given"),
        ("search/layer.edge", {"float": 1}, "layer.edge.float: has to be a list, as in [1, 2]"),
        ("search/layer.edge", {"int": [0.5, 2]}, "layer.edge.int.0: has to be a whole number"),
        ("search/layer.edge", {"choice": []}, "search.layer.edge.choice: is empty"),
        ("search/layer.edge", {"choice": [{}]}, "layer.edge: choice takes numbers, words, true"),
        ("search/layer.edge/log", True, "search.layer.edge: log needs a lowest value above 0"),
        ("search/layer.fade/when", {"layer.growht": 7}, "fade.when.layer.growht: no such key; did"),
        ("search/layer.fade/when", {"layer.growth": "7"}, "layer.growth is searched and never '7'"),
        ("search/layer.fade/when", {"layer.growth": []}, "an empty list"),
        (
            "search/layer.fade/when",
            {"model.name": "resnet18"},
            "search.layer.fade.when: model.name is fixed at 'tutorial' and never 'resnet18'",
        ),
        # Values that no run takes.
        ("search/layer.growth", {"choice": [5, 6, 7]}, "growth: layer: growth 6 does not fit"),
        ("search/layer.growth", {"int": [5, 7]}, "search.layer.growth: layer: growth 6 does not"),
        (
            "search/layer.dilation",
            {"choice": [2, 3]},
            "growth 5 does not fit: with kernel_size 3",
        ),
        ("search/training.batch_size", {"float": [32, 64]}, "batch_size: has to be a whole number"),
        ("search/training.ema", {"float": [0.9, 1.0]}, "training.ema: has to be below 1"),
        (
            "baselines/0/set",
            {"training.epochs": 9},
            "set.training.epochs: trials could not",
        ),
        (
            "baselines/0/set",
            {"layer.edgy": 1},
            "set.layer.edgy: no such key; did you mean",
        ),
        ("baselines/0/set", {"layer.growth": 4}, "mine.yaml: baselines.plain 3x3: layer: growth 4"),
        ("baselines/0/name", "linear 5x5", "have the same name"),
        # Settings of a run.
        ("layer", {"kernel_size": [3, 4]}, "layer.kernel_size: use an odd number"),
        ("layer", {"fade": [1, -1]}, "layer.fade.1: has to be at least 0 (given: -1)"),
        ("layer", {"growth": [5, 6]}, "layer: growth 6 does not fit"),
        ("layer", {"stride": [1, 2, 3]}, "layer.stride: takes 2 values, not 3"),
        ("layer", {"tent": "sine"}, "layer.tent: has to be 'linear', 'cosine' or 'gaussian'"),
        ("layer", {"tent": "linear", "corner": 0}, "layer: tent linear goes without edge"),
        ("layer", {"learn_tent": "layer", "edge": 1}, "learn_tent layer starts between"),
        ("layer", {"learn_tent": "layer", "dilation": 1}, "needs pixels between the taps"),
        ("layer", {"gain_of": 0}, "layer.gain_of: has to be above 0"),
        ("layer", {"init": "dirac"}, "layer.init: dirac needs as many output as input"),
        ("training/epoch", 1, "training.epoch: no such key; did you mean epochs?"),
        ("training/epochs", "many", "training.epochs: has to be a whole number (given: 'many')"),
        ("training/flip", "perhaps", "training.flip: has to be true or false (given: 'perhaps')"),
        ("training/learning_rate", float("inf"), "training.learning_rate: has to be a finite"),
        ("training/optimizer", "adam", "training.optimizer: has to be 'sgd' or 'adamw'"),
        ("training/optimizer", {"import": "NAdam"}, "training.optimizer.import: write module:name"),
        ("training/crop_scale_max", 0.5, "crop_scale_min 1.0 is above crop_scale_max"),
    ],
)
def test_an_error_is_one_line_with_its_path(small, path, value, message):
    *parts, last = path.split("/")
    tree = small
    for part in parts:
        tree = tree[int(part) if part.isdigit() else part]
    tree[last] = value
    with pytest.raises(SweepsError) as caught:
        parse_spec(small, "mine.yaml")
    assert str(caught.value).startswith("mine.yaml: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("search", "wheres"),
    [
        (
            {"layer.egde": {"float": [0, 1]}, "seed": {"int": [0, 1]}, "layer.edge": {"int": [1]}},
            ["search.layer.egde", "search.seed", "search.layer.edge.int"],
        ),
        (
            {
                "model.options.width": {"int": [1, 2]},
                "layer.edge": {"float": [0, 1], "when": {"layer.growth": 9, "training.flip": 3}},
            },
            ["search.model.options.width", "search.layer.edge.when", "search.layer.edge.when"],
        ),
        (
            {"training.ema": {"float": [0, 2]}, "layer.growth": {"choice": [4, 6]}},
            ["search.training.ema", "search.layer.growth", "baselines.few"],
        ),
        (
            {"model.options.width": {"int": [1, 2]}, "training.ema": {"float": [0, 2]}},
            ["search.model.options.width", "search.training.ema", "baselines.few"],
        ),
    ],
)
def test_all_errors_are_reported_at_once(small, search, wheres):
    small["search"] = search
    small["baselines"] = [{"name": "few", "set": {"training.crop": -1}}]
    if "training.ema" not in search:
        del small["baselines"]
    with pytest.raises(SweepsError) as caught:
        parse_spec(small, "mine.yaml")
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[:2] for line in lines] == [["mine.yaml", where] for where in wheres]


def test_conditions_in_a_circle_are_refused(small):
    small["search"]["layer.edge"]["when"] = {"layer.init_scale": 1}
    small["search"]["layer.init_scale"]["when"] = {"layer.edge": 1}
    with pytest.raises(SweepsError, match="go in a circle"):
        parse_spec(small, "mine.yaml")


def test_values_are_reached_and_set_by_dotted_names():
    config = RunConfig().with_values({"layer.edge": 0.25, "seed": 3})
    values = config.settings()
    assert (values["layer.edge"], values["seed"]) == (0.25, 3)
    assert RunConfig().layer.edge == 0.5
