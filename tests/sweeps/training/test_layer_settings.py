"""Every setting of the layer: searched, trained, exported and trained again."""

import optuna
import pytest
import torch
from pydantic import ValidationError

from interpodil import InterpodilConv2d
from sweeps.errors import SweepsError
from sweeps.export.exported import Exported, ExportedData, read_exported
from sweeps.models import model_facts
from sweeps.models.layer import layer_arguments
from sweeps.spec.config import RunConfig, setting_names
from sweeps.spec.layer import LayerConfig
from sweeps.spec.search import pick_values
from sweeps.spec.spec import parse_spec
from sweeps.training import new_model, train
from sweeps.training.train import make_batches
from tests.sweeps.training.runs import CPU, run_config

PER_AXIS = {
    "kernel_size": [3, 5],
    "dilation": [3, 2],
    "growth": [9, None],
    "fade": [1.5, 1],
}
SEARCH = {
    "layer.kernel_size": {"int": [3, 5], "step": 2},
    "layer.dilation": {"int": [2, 3]},
    "layer.growth": {"choice": [None, 13]},
    "layer.fade": {"float": [0, 2]},
    "layer.tent": {"choice": [None, "linear", "cosine", "gaussian"]},
    "layer.edge": {"float": [0, 0.9], "when": {"layer.tent": None}},
    "layer.corner": {"float": [0, 0.9], "when": {"layer.tent": None}},
    "layer.learn_tent": {"choice": ["none", "layer", "channel"]},
    "layer.init": {"choice": ["scale", "lsuv"]},
    "layer.init_scale": {"float": [0.5, 2], "log": True},
    "layer.gain": {"choice": ["init", "forward"]},
    "layer.gain_of": {"choice": ["white", "constant", 2.0]},
    "layer.stride": {"int": [1, 2]},
    "layer.blur": {"choice": [False, True]},
}


def test_all_are_searched():
    assert set(SEARCH) == {name for name in setting_names() if name.startswith("layer.")}
    spec = parse_spec({"name": "all", "budget": {"trials": 1}, "search": SEARCH}, "all.yaml")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    base = spec.base_config()
    for _ in range(10):
        trial = study.ask()
        picked = {name: parameter.suggest(trial, name) for name, parameter in spec.search.items()}
        values = pick_values(spec.search, base.settings(), lambda name, _, of=picked: of[name], {})
        layer = base.with_values(values).layer
        built = InterpodilConv2d(3, 4, layer.kernel_size, **layer_arguments(layer))
        assert built.gain == layer.gain
        assert (built.learn_tent or "none") == layer.learn_tent


def test_an_exported_run_trains_again_to_the_same_number(patterns, tmp_path):
    layer = {f"layer__{name}": value for name, value in PER_AXIS.items()}
    config = run_config(
        **layer,
        layer__tent="gaussian",
        layer__learn_tent="channel",
        layer__init="lsuv",
        layer__init_scale=0.8,
        layer__gain="forward",
        layer__gain_of="constant",
        training__epochs=2,
        data__train_limit=100,
        data__validation_limit=100,
    )
    path = tmp_path / "best.yaml"
    data = ExportedData(**config.data.model_dump())
    path.write_text(Exported(layer=config.layer, training=config.training, data=data).to_yaml())
    again = read_exported(path).run_config()
    assert again == config
    model = new_model(config, patterns)
    assert model.conv1.effective_size == (9, 11)
    start = model.conv1.raw_tent.detach().clone()
    losses = [result.val_loss for result in train(config, patterns, CPU, model=model)]
    assert losses == [result.val_loss for result in train(again, patterns, CPU)]
    assert not torch.equal(model.conv1.raw_tent, start)


def test_lsuv_takes_the_first_batch_of_the_training(patterns):
    config = run_config(layer__init="lsuv", layer__init_scale=1.5)
    layer = new_model(config, patterns).conv1
    training, _ = make_batches(config, patterns, CPU)
    training.set_epoch(1)
    images, _ = next(iter(training))
    output = layer(images) - layer.bias.view(-1, 1, 1)
    assert output.std(correction=0).item() == pytest.approx(1.5, rel=1e-3)
    torch.testing.assert_close(new_model(config, patterns).conv1.weight, layer.weight)


def test_a_blur_comes_before_the_layer_and_stays_as_it_is(patterns):
    config = run_config(layer__blur=True, layer__dilation=1, layer__growth=3, training__epochs=1)
    model = new_model(config, patterns)
    blur, layer = model.conv1
    before = layer.weight.detach().clone()
    list(train(config, patterns, CPU, model=model))
    assert not torch.equal(layer.weight, before)
    # A point is spread over 3x3 pixels of its channel; an even image stays as it is.
    point = torch.zeros(1, 3, 5, 5)
    point[0, 1, 2, 2] = 16
    spread = torch.zeros(3, 5, 5)
    spread[1, 1:4, 1:4] = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])
    torch.testing.assert_close(blur(point)[0], spread)
    torch.testing.assert_close(blur(torch.ones(1, 3, 5, 5)), torch.ones(1, 3, 5, 5))
    plain = new_model(config.with_values({"layer.blur": False}), patterns)
    facts, of_plain = model_facts(model, 16), model_facts(plain, 16)
    assert facts.parameters == of_plain.parameters
    assert facts.receptive_field == of_plain.receptive_field + 2
    with pytest.raises(ValidationError, match="read what they did before"):
        run_config(layer__blur=True, model__where="conv2")


def test_dirac_starts_as_an_identity(patterns):
    values = {"model__where": "conv2", "layer__gain": "forward", "layer__init_scale": 2}
    layer = new_model(run_config(layer__init="dirac", **values), patterns).conv2
    sums = layer.effective_kernel().sum((2, 3))
    torch.testing.assert_close(sums, 2 * torch.eye(35))


def test_older_configurations_mean_the_same():
    older = ("kernel_size", "dilation", "growth", "fade", "edge", "corner", "init_scale", "stride")
    tree = RunConfig().model_dump(mode="json")
    tree["layer"] = {name: tree["layer"][name] for name in older}
    assert RunConfig.model_validate(tree) == RunConfig()
    arguments = layer_arguments(LayerConfig())
    assert repr(InterpodilConv2d(3, 4, **arguments)) == repr(InterpodilConv2d(3, 4, fade=1.0))


def test_an_identity_needs_as_many_outputs_as_inputs(patterns):
    with pytest.raises(SweepsError, match=r"layer\.init: .*conv1 has 35 and 3"):
        new_model(run_config(layer__init="dirac", model__where="conv1"), patterns)
