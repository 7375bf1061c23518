"""A network of a person's own: checked before any trial, swept, exported, trained again."""

import itertools

import pytest

from sweeps.errors import SweepsError
from sweeps.models.check import check_networks
from sweeps.spec.spec import parse_spec

NETWORK = """
from torch import nn

def build(image_shape, num_classes, width=8):
    return nn.Sequential(
        nn.Conv2d(image_shape[0], width, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes),
    )
"""
_numbers = itertools.count()


@pytest.fixture
def check(small, tmp_path, monkeypatch):
    """Check a spec whose network is the function `build` of some source."""
    monkeypatch.chdir(tmp_path)

    def call(source, **model):
        name = f"own_network_{next(_numbers)}"
        (tmp_path / f"{name}.py").write_text(source)
        small["model"] = {"import": f"{name}:build", **model}
        check_networks(parse_spec(small, "small"), 16, 10)

    # Only what fits each convolution that is chosen.
    del small["search"]["layer.growth"], small["search"]["layer.fade"]
    small["baselines"] = []
    return call


def test_one_that_fits_is_accepted_with_every_option(check, small):
    small["search"]["model.options.width"] = {"choice": [4, 8]}
    check(NETWORK, options={"width": 4}, where="spatial")


@pytest.mark.parametrize(
    ("source", "model", "message"),
    [
        ("def build(image_shape, num_classes): return 3", {}, "gave int, not Module"),
        (NETWORK, {"options": {"widht": 3}}, r"model\.options\.widht: no such key; .* width"),
        (NETWORK, {"where": "9*"}, r"model\.where: 9\* chooses no .* there are: 0, 2"),
        (
            NETWORK.replace("num_classes),", "num_classes + 1),"),
            {},
            r"returns shape \(2, 11\) for 2 images, not \(2, 10\)",
        ),
        (
            NETWORK.replace("nn.Flatten(), ", ""),
            {},
            "cannot compute images of 16 pixels: RuntimeError",
        ),
        ("import nothing_there\n" + NETWORK, {}, "No module named 'nothing_there'"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(check, source, model, message):
    with pytest.raises(SweepsError, match=message) as refused:
        check(source, **model)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"gain_of": "constant"}, "gain_of='constant' needs a tent with a sum other than 0"),
        ({"init": "dirac"}, "dirac_ needs a tent with a sum other than 0"),
    ],
)
def test_a_tent_without_a_sum_is_refused_where_one_is_needed(small, layer, message):
    # 1 + 4 * edge + 4 * corner is 0.
    small["layer"] = {"edge": -0.5, "corner": 0.25, **layer}
    small["model"] = {"where": "conv2"}
    small["search"], small["baselines"] = {"training.weight_decay": {"float": [0.0, 0.1]}}, []
    with pytest.raises(SweepsError, match=message):
        check_networks(parse_spec(small, "small"), 16, 10)
    small["layer"]["corner"] = 0.5
    check_networks(parse_spec(small, "small"), 16, 10)


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"model.options.depth": {"int": [1, 2]}}, "give depth a value under model.options"),
        ({"model.weights": {"choice": ["none", "default"]}}, "mynets:build has no model.weights"),
        (
            {"model.import": {"choice": ["a:b"]}},
            "search.model.import: one study has one network",
        ),
    ],
)
def test_a_search_for_what_it_does_not_have_is_refused(small, search, message):
    small["model"] = {"import": "mynets:build", "options": {"width": 8}}
    small["search"] = search
    with pytest.raises(SweepsError, match=message):
        parse_spec(small, "small")


def test_it_is_swept_exported_and_trained_again_to_the_same_number(place, small, cli, data_dir):
    mine = place.folder / "mynets.py"
    mine.write_text(NETWORK)
    small["model"] = {"import": "mynets:build", "options": {"width": 8}, "where": "spatial"}
    small["search"] = {"model.options.width": {"choice": [4, 8]}}
    small["baselines"], small["budget"], small["metric"] = [], {"trials": 1}, "val_loss"
    spec = place.write_spec(small)
    done = place.run("run", spec, "--workers", "1", "--devices", "cpu")
    assert done.returncode == 0, done.stderr
    assert cli("export", "-o", "best.yaml")[0] == 0
    assert "model.import: sha256:" in (place.folder / "best.yaml").read_text()

    status, out, err = cli("train", "best.yaml", "--data-dir", str(data_dir))
    assert status == 0, err
    assert "the same as trial" in out
    assert f"model.import: mynets:build from {mine} (sha256:" in err

    mine.write_text(NETWORK + "\n# Changed.\n")
    status, _, err = cli("train", "best.yaml")
    assert status == 1
    assert f"model.import: {mine} (sha256:" in err
    assert "take code.model.import out of the YAML" in err
