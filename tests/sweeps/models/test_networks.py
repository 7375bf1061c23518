"""Networks of torchvision with the layer in them, on `meta` where that will do."""

import urllib.error

import pytest
import torch
from torch import nn
from torchvision import models

from interpodil import InterpodilConv2d
from sweeps.errors import SweepsError
from sweeps.models import build_model, model_facts
from sweeps.models.facts import receptive_fields
from sweeps.models.layer import insert_layer
from sweeps.models.networks import build_network, on_meta
from sweeps.spec.config import RunConfig
from sweeps.spec.networks import TORCHVISION


def _config(name, where="stem", **values):
    values = {key.replace("__", "."): value for key, value in values.items()}
    return RunConfig().with_values({"model.name": name, "model.where": where, **values})


def _convert(config, size=224, num_classes=10):
    with on_meta():
        network = build_network(config.model, size=size, num_classes=num_classes)
    conversion = insert_layer(network.to("meta"), config)
    return network, [change.name for change in conversion.changed]


def _check_conversion(name):
    """Convert a network whole: outputs keep their shape, and nothing but 1x1 is left."""
    network, changed = _convert(_config(name, "spatial"))
    left = [m for m in network.modules() if type(m) is nn.Conv2d]
    assert changed
    assert all(set(conv.kernel_size) == {1} for conv in left)
    assert network(torch.zeros(2, 3, 224, 224, device="meta")).shape == (2, 10)
    facts = model_facts(network, 224)
    assert facts.layers == len(changed)
    with on_meta():
        plain = models.get_model(name, weights=None, **_NO_AUX.get(name, {}))
    assert sum(p.numel() for p in plain.parameters()) <= TORCHVISION[name][0]
    stem = next(m for m in plain.modules() if isinstance(m, nn.Conv2d))
    kernel = "x".join(map(str, stem.kernel_size))
    assert f"{kernel}, stride {stem.stride[0]}" == TORCHVISION[name][1]


_NO_AUX = {name: {"aux_logits": False} for name in ("googlenet", "inception_v3")}


def test_the_names_are_torchvisions():
    assert list(TORCHVISION) == models.list_models(module=models)


@pytest.mark.filterwarnings("ignore:The default weight initialization:FutureWarning")
@pytest.mark.parametrize(
    "name", ["alexnet", "googlenet", "regnet_x_400mf", "shufflenet_v2_x0_5", "swin_t", "vit_b_16"]
)
def test_a_network_of_each_kind_is_converted(name):
    _check_conversion(name)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The default weight initialization:FutureWarning")
def test_every_classification_network_is_converted():
    # None is an exception; docs/models.md says so.
    for name in TORCHVISION:
        _check_conversion(name)


@pytest.mark.parametrize(
    ("name", "where", "count"),
    [
        ("resnet34", "stem", 1),
        ("resnet34", "layer1.*", 6),
        ("resnet50", "layer1.*", 3),  # Not its 1x1 convolutions.
        ("mobilenet_v3_small", "spatial", 12),
        ("mobilenet_v3_small", "three_by_three", 4),
        ("tutorial", "conv2", 1),
    ],
)
def test_where_chooses_convolutions(name, where, count):
    assert len(_convert(_config(name, where))[1]) == count


def test_what_becomes_the_layer_keeps_its_taps_stride_padding_groups_and_variance():
    config = _config("mobilenet_v3_small", "spatial", layer__init_scale=1.0)
    torch.manual_seed(0)
    plain = build_network(config.model, size=32, num_classes=10)
    torch.manual_seed(0)
    network = build_model(config, size=32, num_classes=10)
    for name, before in plain.named_modules():
        after = network.get_submodule(name)
        if isinstance(after, InterpodilConv2d):
            for kept in ("kernel_size", "stride", "padding", "groups"):
                assert getattr(after, kept) == getattr(before, kept)
            images = torch.randn(2, after.in_channels, 32, 32)
            with torch.no_grad():
                ratio = after(images).std() / before(images).std()
            assert 0.85 < float(ratio) < 1.15


def test_a_new_stem_of_resnet18_has_the_weights_that_it_always_had():
    config = _config("resnet18", layer__growth=5)
    torch.manual_seed(3)
    network = build_model(config, size=32, num_classes=10)
    torch.manual_seed(3)
    stem = InterpodilConv2d(3, 64, 3, padding=1, bias=False, fade=1.0, growth=5)
    expected = models.resnet18(num_classes=10)
    expected.conv1 = stem
    for (name, value), (other, wanted) in zip(
        network.state_dict().items(), expected.state_dict().items(), strict=True
    ):
        assert name == other
        assert torch.equal(value, wanted)


def test_a_stride_replaces_that_of_a_single_convolution():
    network, _ = _convert(_config("resnet34", layer__stride=1))
    assert network.conv1.stride == (1, 1)
    network, _ = _convert(_config("resnet34"))
    assert network.conv1.stride == (2, 2)
    with pytest.raises(SweepsError, match=r"layer\.stride: model\.where layer1\.\* means 6"):
        _convert(_config("resnet34", "layer1.*", layer__stride=2))


@pytest.mark.parametrize(
    ("name", "where", "values", "message"),
    [
        (
            "resnet34",
            "layr1.*",
            {},
            r"model\.where: layr1\.\* chooses no .*there are: conv1, layer1",
        ),
        ("alexnet", "stem", {"layer__growth": 7}, r"layer: does not fit alexnet: features\.0: "),
    ],
)
def test_what_does_not_fit_is_refused(name, where, values, message):
    with pytest.raises(SweepsError, match=message):
        _convert(_config(name, where, **values))


# Araujo, Norris and Sim 2019, "Computing receptive fields of convolutional neural networks".
@pytest.mark.parametrize(
    ("name", "field"), [("vgg16", 212), ("inception_v3", 1311), ("mobilenet_v2", 491)]
)
def test_receptive_fields_are_those_that_are_published(name, field):
    with on_meta():
        network = build_network(_config(name).model, size=224, num_classes=10).to("meta")
    assert receptive_fields(network, 224)[""] == field


class TestWeights:
    @pytest.fixture(autouse=True)
    def _hub(self, tmp_path, monkeypatch):
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def test_they_are_loaded_but_for_the_classifier(self, tmp_path):
        trained = models.squeezenet1_1()
        folder = tmp_path / "hub" / "checkpoints"
        folder.mkdir(parents=True)
        url = models.get_model_weights("squeezenet1_1").DEFAULT.url
        torch.save(trained.state_dict(), folder / url.rsplit("/", 1)[-1])
        config = _config("squeezenet1_1", "features.3.*", model__weights="default")
        network = build_model(config, size=64, num_classes=1000)
        other = [
            name
            for name, value in network.state_dict().items()
            if not torch.equal(value, trained.state_dict()[name])
        ]
        # The variance of the converted one is kept by scaling its weights.
        assert other == ["features.3.expand3x3.weight", "classifier.1.weight"]
        assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 1000)

    def test_where_they_cannot_be_downloaded_one_line_says_what_to_do(self, monkeypatch):
        def fail(*_, **__):
            raise urllib.error.URLError("no route to host")

        monkeypatch.setattr("torch.hub.urlopen", fail)
        config = _config("squeezenet1_1", model__weights="default")
        with pytest.raises(SweepsError, match=r"no route to host; put https.* weights: none"):
            build_model(config, size=64, num_classes=10)
