"""Datasets that a person's function returns: decoded once, or refused with the item."""

import sys

import numpy as np
import pytest

from sweeps.data import list_datasets, open_data
from sweeps.errors import SweepsError
from sweeps.spec.data import DataConfig

MODULE = """
import numpy as np, torch
from PIL import Image

calls = []

class Items:
    classes = ["ant", "bee"]
    def __init__(self, items): self.items = items
    def __len__(self): return len(self.items)
    def __getitem__(self, i):
        calls.append(i)
        return self.items[i]

def gray(value, size=8): return np.full((size, size), value, np.uint8)

def build(bias=0):
    red = torch.zeros(3, 8, 8, dtype=torch.uint8); red[0] = 200
    train = [(gray(10 + bias), 1), (red, 0), (Image.fromarray(gray(30)), torch.tensor(1))]
    return Items(train), Items([(gray(40)[:, :, None], np.int64(1)), (red, 0)])

def named(): return [(gray(1), 0), (gray(2), 1)], [(gray(3), 1)], ["x", "y"]
def wide(): return Items([(gray(1), 0), (gray(1, 12)[:10], 1)]), Items([(gray(2, 9), 1)])
def nameless(): return [(gray(1), 0)], [(gray(1), 0)]
def floats(): return Items([(gray(1), 0), (torch.zeros(3, 8, 8), 1)]), Items([])
def channels(): return Items([(np.zeros((3, 8, 8), np.uint8), 1)]), Items([])
def label(): return Items([(gray(1), 0)]), Items([(gray(1), 2)])
def words(): return Items([(gray(1), "ant")]), Items([])
def alone(): return Items([gray(1)]), Items([])
def empty(): return Items([(gray(1), 0)]), Items([])
def fails(): return Items([(gray(1), 0), 1 / 0]), Items([])
def one(): return Items([])
def stream(): return iter([]), iter([])
class Lazy(Items):
    def __getitem__(self, i): raise OSError("no such file")
def unreadable(): return Lazy([1]), Items([])
"""

SWEPT = """
import numpy as np

def build(count):
    pixels = np.random.RandomState(0).randint(0, 256, (count, 16, 16)).astype(np.uint8)
    items = [(image, i % 2) if i % 2 else (image // 2, 0) for i, image in enumerate(pixels)]
    return items, items[:9], ["dark", "bright"]
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    def write(text=MODULE):
        (tmp_path / "mydata.py").write_text(text)
        sys.modules.pop("mydata", None)

    write()
    return write


def data(name="build", **more):
    return DataConfig.model_validate({"import": f"mydata:{name}", **more})


def test_it_is_decoded_once(module, data_dir):
    dataset = open_data(data(), data_dir)
    assert dataset.classes == ("ant", "bee")
    assert dataset.train.images[:, 0, 0].tolist() == [[200, 0, 0], [10] * 3, [30] * 3]
    assert dataset.train.labels.tolist() == [0, 1, 1]
    assert dataset.test.images[:, 0, 0].tolist() == [[200, 0, 0], [40] * 3]
    assert sys.modules["mydata"].calls == [0, 1, 2, 0, 1]
    again = open_data(data(), data_dir, 8, download=False)
    assert again.fingerprint == dataset.fingerprint
    assert len(sys.modules["mydata"].calls) == 5
    assert list_datasets(data_dir)[-1][0] == "mydata:build"


def test_other_code_or_options_are_another_dataset(module, data_dir):
    first = open_data(data(), data_dir)
    biased = open_data(data(options={"bias": 5}), data_dir)
    assert biased.train.images[1, 0, 0, 0] == 15
    module(MODULE + "\n# Changed.\n")
    with pytest.raises(SweepsError, match=r"mydata:build is not in .*`sweeps run`"):
        open_data(data(), data_dir, download=False)
    assert open_data(data(), data_dir).fingerprint == first.fingerprint


def test_images_of_many_sizes_are_scaled_to_the_one_given(module, data_dir, leftovers):
    with pytest.raises(SweepsError, match=r"train item 1 is 12x10, the ones before 8x8.*data.size"):
        open_data(data("wide"), data_dir)
    assert leftovers() == []
    dataset = open_data(data("wide", size=9), data_dir)
    assert dataset.train.images.shape == (2, 9, 9, 3)
    np.testing.assert_array_equal(dataset.test.images, np.full((1, 9, 9, 3), 2))


def test_classes_may_be_a_list(module, data_dir):
    assert open_data(data("named"), data_dir).classes == ("x", "y")


@pytest.mark.slow
def test_a_sweep_on_it_is_exported_and_trained_again(place, small, data_dir):
    (place.folder / "mydata.py").write_text(SWEPT)
    small["data"] = {"import": "mydata:build", "options": {"count": 300}, "validation": 0.2}
    small["budget"] = {"trials": 2}
    spec = place.write_spec(small)
    done = place.run("run", spec, "--workers=2")
    assert done.returncode == 0, done.stderr
    assert place.run("export", "-o", "best.yaml").returncode == 0
    done = place.run("train", "best.yaml")
    assert "the same as trial" in done.stdout, done.stderr
    (place.folder / "mydata.py").write_text(SWEPT + "# Changed.\n")
    for command in (["run", spec], ["worker", "small-mydata-build"]):
        done = place.run(*command)
        assert done.returncode == 1
        assert "data.import: " in done.stderr
        assert "mydata.py has changed since this study was made" in done.stderr
    assert len(list(data_dir.iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nameless", "train dataset has no attribute classes; give it one"),
        ("floats", r"train item 1 has float32 Tensor \[3, 8, 8\] for an image; expected a PIL"),
        ("channels", r"train item 0 has uint8 ndarray \[3, 8, 8\] for an image; .*\[H, W, 1 or 3"),
        ("label", "test item 0 has the label 2; expected 0 to 1, for 2 classes"),
        ("words", "train item 0 has the label 'ant'; expected an integer"),
        ("alone", r"train item 0 is uint8 ndarray \[8, 8\]; expected \(image, label\)"),
        ("empty", "the test dataset is empty"),
        ("fails", "ZeroDivisionError: division by zero .*mydata.py, line"),
        ("one", "gave Items, not tuple"),
        ("stream", "the train dataset is list_iterator; expected one with a length"),
        ("unreadable", "train item 0: OSError: no such file .*mydata.py, line"),
        ("biuld", "no such name; did you mean build"),
    ],
)
def test_another_form_is_refused_in_one_line(module, data_dir, name, message, leftovers):
    with pytest.raises(SweepsError, match=f"^data.import: mydata:{name}:? .*{message}") as error:
        open_data(data(name), data_dir)
    assert "\n" not in str(error.value)
    assert leftovers() == []
