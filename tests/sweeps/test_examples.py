"""The examples run: each is swept as it stands, on few drawn images, exported and trained again."""

import shutil
from pathlib import Path

import pytest

from sweeps.spec.files import dump_yaml, load_yaml
from tests.sweeps.conftest import Place

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def place(tmp_path, data_dir):
    shutil.copytree(EXAMPLES, tmp_path, dirs_exist_ok=True)
    place = Place(tmp_path, data_dir)
    yield place
    place.leave()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["own-network", "own-sampler", "own-loop"])
def test_an_example_runs(place, name):
    tree = load_yaml((EXAMPLES / f"{name}.yaml").read_text("utf-8"), name)
    tree["data"] = {"name": "patterns", "size": 16, "train_limit": 200, "validation_limit": 100}
    tree["budget"] = {"trials": 3}
    tree["training"] = tree.get("training", {}) | {"epochs": 2, "batch_size": 50}
    (place.folder / "few.yaml").write_text(dump_yaml(tree), "utf-8")
    done = place.run("run", "few.yaml", "--workers", "2", "--devices", "cpu")
    assert done.returncode == 0, done.stderr
    assert place.study().study_name == f"{name}-patterns"
    assert all(trial.state.name in ("COMPLETE", "PRUNED") for trial in place.study().trials)
    assert place.run("export", "-o", "best.yaml").returncode == 0
    again = place.run("train", "best.yaml")
    assert again.returncode == 0, again.stderr
    assert ", the same as trial" in again.stdout
