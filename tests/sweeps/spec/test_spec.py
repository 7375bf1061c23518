"""Specs: what is allowed, what is refused and in which words."""

import pytest

from sweeps.errors import SweepsError
from sweeps.spec.config import RunConfig, setting_names
from sweeps.spec.files import dump_yaml, load_yaml
from sweeps.spec.spec import load_spec, parse_spec, preset_names
from sweeps.study.study import spec_tree


class TestPresets:
    def test_the_three_come_with_the_package(self):
        assert preset_names() == ["cifar10", "imagenette", "quick"]

    @pytest.mark.parametrize("name", ["quick", "cifar10", "imagenette"])
    def test_they_search_what_the_project_is_about(self, name):
        spec = load_spec(name)
        wanted = {
            f"layer.{k}" for k in ("edge", "corner", "growth", "fade", "init_scale", "stride")
        }
        assert wanted | {"training.learning_rate"} <= set(spec.search)
        assert spec.search["layer.growth"].choice == [5, 7]
        assert spec.search["layer.fade"].when == {"layer.growth": 7}
        assert spec.search["layer.init_scale"].log

    @pytest.mark.parametrize("name", ["quick", "cifar10", "imagenette"])
    def test_they_try_the_baselines_first(self, name):
        spec = load_spec(name)
        layers = [
            spec.base_config().with_values(spec.baseline_values(c)).layer for c in spec.baselines
        ]
        assert any(layer.growth == 3 and layer.dilation == 1 for layer in layers)
        assert any(layer.growth == 5 and layer.edge == layer.corner == 0 for layer in layers)
        assert any(layer.growth == 5 and layer.edge == 0.5 for layer in layers)
        assert any(layer.growth == 7 and layer.init_scale == 1.5 for layer in layers)

    def test_the_baselines_former_name_is_read(self):
        tree = spec_tree(load_spec("quick"))
        tree["try_first"] = tree.pop("baselines")
        assert parse_spec(tree, "quick") == load_spec("quick")

    def test_quick_is_small_and_falls_back(self):
        spec = load_spec("quick")
        assert spec.fallback == "patterns"
        assert spec.budget.trials >= 16
        assert spec.budget.minutes < 10

    def test_imagenette_is_large_and_strides_far(self):
        spec = load_spec("imagenette")
        assert spec.data.size == 224
        assert spec.search["layer.stride"].int_ == (2, 8)


def _without_end(tree):
    tree["budget"] = {}


def _set(path, value):
    def change(tree):
        *parts, last = path
        for part in parts:
            tree = tree[part]
        tree[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set(["serach"], 1), "serach: no such key; did you mean search?"),
        (_set(["training", "epoch"], 1), "training.epoch: no such key; did you mean epochs?"),
        (
            _set(["search", "layer.egde"], {"float": [0, 1]}),
            "search.layer.egde: no such key; did you mean layer.edge?",
        ),
        (
            _set(["search", "corner"], {"float": [0, 1]}),
            "search.corner: no such key; did you mean layer.corner?",
        ),
        (
            _set(["search", "layer.edge"], {"flaot": [0, 1]}),
            "search.layer.edge.flaot: no such key; did you mean float?",
        ),
        (
            _set(["search", "layer.edge"], {"float": [0, 1], "int": [0, 1]}),
            "search.layer.edge: give exactly one of float",
        ),
        (
            _set(["search", "layer.edge"], {"float": [1, 0]}),
            "search.layer.edge: the lowest value 1.0 is above the highest 0.0",
        ),
        (
            _set(["search", "layer.edge"], {"float": [0, 1], "log": True}),
            "search.layer.edge: log needs a lowest value above 0",
        ),
        (
            _set(["search", "layer.edge", "when"], {"layer.growht": 7}),
            "search.layer.edge.when.layer.growht: no such key; did you mean layer.growth?",
        ),
        (
            _set(["search", "layer.growth"], {"choice": [5, 6, 7]}),
            "search.layer.growth: layer: growth 6 does not fit",
        ),
        (
            _set(["search", "layer.growth"], {"int": [5, 7]}),
            "search.layer.growth: layer: growth 6 does not fit",
        ),
        (
            _set(["search", "layer.dilation"], {"choice": [2, 3]}),
            "layer: growth 5 does not fit: with kernel_size 3 and dilation 3",
        ),
        (
            _set(["search", "training.batch_size"], {"float": [32, 64]}),
            "search.training.batch_size: training.batch_size: input should be a valid integer",
        ),
        (
            _set(["search", "layer.fade", "when"], {"layer.growth": "7"}),
            "search.layer.fade.when: layer.growth is searched and never '7'",
        ),
        (
            _set(["search", "layer.fade", "when"], {"model.name": "resnet18"}),
            "search.layer.fade.when: model.name is fixed at 'tutorial' and never 'resnet18'",
        ),
        (_set(["search", "layer.fade", "when"], {"layer.growth": []}), "an empty list"),
        (_set(["search", "seed"], {"int": [0, 9]}), "search.seed: trials could not be compared"),
        (
            _set(["baselines", 0, "set"], {"training.epochs": 9}),
            "set.training.epochs: trials could not be compared",
        ),
        (_set(["layer"], {"kernel_size": 4}), "layer.kernel_size: use an odd number"),
        (_set(["layer"], {"kernel_size": [3, 4]}), "layer.kernel_size: use an odd number"),
        (_set(["layer"], {"fade": [1, -1]}), "layer.fade.1: input should be greater than or"),
        (_set(["layer"], {"growth": [5, 6]}), "layer: growth 6 does not fit"),
        (_set(["layer"], {"tent": "sine"}), "layer.tent: input should be 'linear', 'cosine' or"),
        (_set(["layer"], {"tent": "linear", "corner": 0}), "layer: tent linear goes without edge"),
        (_set(["layer"], {"learn_tent": "layer", "edge": 1}), "learn_tent layer starts between"),
        (_set(["layer"], {"learn_tent": "layer", "dilation": 1}), "needs pixels between the taps"),
        (_set(["layer"], {"gain": "backward"}), "layer.gain: input should be 'init' or 'forward'"),
        (_set(["layer"], {"gain_of": 0}), "layer.gain_of: input should be greater than 0"),
        (_set(["layer"], {"init": "dirac"}), "layer.init: dirac needs as many output as input"),
        (_set(["seed"], 2**64), "seed: input should be less than"),
        (
            _set(["search", "layer.init_scale"], {"float": [-1, 1]}),
            "search.layer.init_scale: layer.init_scale: input should be greater than 0",
        ),
        (_set(["search", "data.size"], {"choice": [16, 32]}), "could not be compared"),
        (_set(["search"], {}), "search: "),
        (_set(["training", "epochs"], "many"), "training.epochs: input should be a valid integer"),
        (_set(["training", "learning_rate"], float("inf")), "training.learning_rate: "),
        (_set(["training", "optimizer"], "adam"), "training.optimizer: input should be 'sgd' or"),
        (
            _set(["training", "optimizer"], {"import": "NAdam"}),
            "training.optimizer.import: write module:name",
        ),
        (_set(["training", "crop_scale_max"], 0.5), "crop_scale_min 1.0 is above crop_scale_max"),
        (
            _set(["search", "training.schedule"], {"choice": ["cosine", "linear"]}),
            "search.training.schedule: training.schedule: input should be 'one_cycle', 'cosine'",
        ),
        (
            _set(["search", "training.ema"], {"float": [0.9, 1.0]}),
            "search.training.ema: training.ema: input should be less than 1",
        ),
        (_set(["sampler", "name"], "tpee"), "sampler.name: no such name; did you mean tpe?"),
        (_set(["pruner", "name"], "hyper"), "pruner.name: no such name; did you mean hyperband?"),
        (_set(["name"], "a/b"), "name: use letters"),
        (_set(["baselines", 0, "set"], {"layer.edgy": 1}), "set.layer.edgy: no such key"),
        (_set(["baselines", 0, "set"], {"layer.growth": 4}), "plain 3x3: layer: growth 4"),
        (_set(["baselines", 0, "name"], "linear 5x5"), "have the same name"),
        (_without_end, "budget: give trials, minutes, or both"),
    ],
)
def test_an_error_is_one_line_with_its_path(small, change, message):
    change(small)
    with pytest.raises(SweepsError) as caught:
        parse_spec(small, "mine.yaml")
    assert str(caught.value).startswith("mine.yaml: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_errors_are_reported_at_once(small):
    small["training"]["epochs"] = 0
    small["training"]["bach_size"] = 3
    with pytest.raises(SweepsError) as caught:
        parse_spec(small, "mine.yaml")
    assert len(str(caught.value).splitlines()) == 2


def test_conditions_in_a_circle_are_refused(small):
    small["search"]["layer.edge"]["when"] = {"layer.init_scale": 1}
    small["search"]["layer.init_scale"]["when"] = {"layer.edge": 1}
    with pytest.raises(SweepsError, match="go in a circle"):
        parse_spec(small, "mine.yaml")


class TestFiles:
    def test_a_preset_with_a_typo_names_the_nearest(self):
        with pytest.raises(SweepsError, match="did you mean quick"):
            load_spec("quik")

    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(SweepsError, match=r"nowhere\.yaml: no such file"):
            load_spec(str(tmp_path / "nowhere.yaml"))

    def test_a_folder_is_refused(self, tmp_path):
        with pytest.raises(SweepsError, match="cannot be read"):
            load_spec(str(tmp_path))

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a: [1", "line 1: not valid YAML"),
            ("- 1", "expected keys and values"),
            ("", "expected keys and values"),
            ("a: 1\nb: 2\na: 3", 'line 3: not valid YAML: found duplicate key "a"'),
            ("a: !!python/object:os.system {}", "not valid YAML"),
        ],
    )
    def test_what_is_no_yaml_mapping_is_refused(self, text, message):
        with pytest.raises(SweepsError, match=message):
            load_yaml(text, "mine.yaml")

    def test_exponents_are_numbers(self):
        assert load_yaml("a: 1e-3\nb: 5E+2\nc: -1.5e3", "x") == {"a": 1e-3, "b": 500, "c": -1500}

    def test_what_is_dumped_loads_again(self, small):
        assert load_yaml(dump_yaml(small), "x") == small


class TestConfig:
    def test_values_are_reached_and_set_by_dotted_names(self):
        config = RunConfig().with_values({"layer.edge": 0.25, "seed": 3})
        assert (config.value("layer.edge"), config.value("seed")) == (0.25, 3)
        assert RunConfig().layer.edge == 0.5

    def test_every_setting_has_a_name(self):
        names = setting_names()
        assert {"layer.fade", "model.name", "training.crop", "data.size", "seed"} <= set(names)
        assert set(RunConfig().settings()) <= set(names)
