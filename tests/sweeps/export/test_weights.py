"""Trained weights in files: without this project they classify as the trained network does."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from sweeps.data import split_rows
from sweeps.export.exported import Exported, read_exported
from sweeps.models import build_model
from sweeps.spec.files import load_yaml
from tests.sweeps.conftest import Place

SCRIPT = Path(__file__).parents[3] / "examples" / "use_weights.py"
# Runs the example, and shows that it has imported nothing of this project.
ALONE = """
import runpy, sys
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
ours = [name for name in sys.modules if name.split(".")[0] in ("sweeps", "interpodil", "storage")]
assert not ours, ours
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data_dir):
    """A folder with a trained network's weights in all forms, and its configuration."""
    place = Place(tmp_path_factory.mktemp("trained"), data_dir)
    config = Exported.model_validate(
        {
            "layer": {"growth": 7, "fade": 1.5, "stride": 2, "learn_tent": "layer"},
            "data": {"name": "patterns", "size": 16, "train_limit": 300, "validation_limit": 200},
            "training": {"epochs": 2, "batch_size": 50, "learning_rate": 0.05, "flip": False},
        }
    )
    (place.folder / "own.yaml").write_text(config.to_yaml())
    files = [f"--save=own.{form}" for form in ("safetensors", "pt", "onnx")]
    done = place.run("train", "own.yaml", "--seed", "3", "--device", "cpu", *files)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [f"Wrote {f[7:]}" for f in files]
    accuracy = float(done.stdout.split("val_accuracy ")[-1].split()[0])
    yield place.folder, accuracy
    place.leave()


@pytest.fixture(scope="module")
def validation(trained, patterns):
    config = read_exported(trained[0] / "own.yaml").run_config()
    _, rows = split_rows(config, patterns)
    images = torch.from_numpy(np.array(patterns.train.images[rows])).permute(0, 3, 1, 2)
    return images, patterns.train.labels[rows]


def test_a_script_with_torch_and_safetensors_alone_classifies_alike(
    trained, validation, patterns, tmp_path
):
    folder, accuracy = trained
    images, labels = validation
    torch.save(images, tmp_path / "images.pt")
    shutil.copy(SCRIPT, tmp_path)
    # From elsewhere and isolated, so that nothing of the project is on the path.
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, SCRIPT.name, folder / "own.safetensors", "images.pt"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    right = np.array(done.stdout.split()) == np.array(patterns.classes)[labels]
    assert right.mean() == pytest.approx(accuracy, abs=1.5 / len(labels))


def test_the_graph_gives_the_networks_outputs(trained, validation, patterns):
    folder, _ = trained
    config = read_exported(folder / "own.yaml").run_config()
    model = build_model(config, size=16, num_classes=len(patterns.classes)).eval()
    model.load_state_dict(torch.load(folder / "own.pt"))
    session = onnxruntime.InferenceSession(folder / "own.onnx")
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (patterns.mean, patterns.std))
    for images in (validation[0][:1] / 255, validation[0] / 255):
        (logits,) = session.run(None, {"images": images.numpy()})
        with torch.no_grad():
            expected = model((images - mean) / std).numpy()
        np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
    known = session.get_modelmeta().custom_metadata_map
    assert json.loads(known["classes"]) == list(patterns.classes)
    assert json.loads(known["layers"]) == ["conv1"]
    assert load_yaml(known["configuration"], "own.onnx")["seed"] == 3


def test_what_cannot_be_written_is_refused_before_the_training(trained, cli, monkeypatch):
    folder, _ = trained
    status, out, error = cli("train", str(folder / "own.yaml"), "--save", "nowhere/own.safetensors")
    assert (status, out) == (1, "")
    assert "the folder" in error
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    status, out, error = cli("train", str(folder / "own.yaml"), "--save", "own.onnx")
    assert (status, out) == (1, "")
    assert error == "sweeps: own.onnx: needs onnxscript: pip install 'interpodil[onnx]'\n"
