"""Downloads, against small archives in the real formats, served from this machine."""

import functools
import gzip
import hashlib
import http.server
import inspect
import io
import pickle
import socket
import threading
import time

import numpy as np
import pytest
import torchvision
from PIL import Image
from torchvision.datasets import CIFAR10, STL10, FashionMNIST, Imagenette

from sweeps.data import (
    download,
    import_dataset,
    list_datasets,
    open_data,
)
from sweeps.errors import DatasetUnavailable, SweepsError
from sweeps.spec.data import DataConfig
from sweeps.spec.torchvision_sets import SETS
from tests.sweeps.data import trees


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def md5(data):
    return hashlib.md5(data).hexdigest()


@pytest.fixture
def cifar10(served, monkeypatch):
    """A CIFAR-10 of 3 images a batch; gives images and labels in the archive's order."""
    folder, url = served
    random = np.random.RandomState(0)
    files, images, labels = {}, [], []
    names = [name for name, _ in CIFAR10.train_list + CIFAR10.test_list]
    for number, name in enumerate(names):
        images.append(random.randint(0, 256, (3, 3072), dtype=np.uint8))
        labels.append([(number + 2) % 3, 1, 0])
        files[name] = pickle.dumps({"data": images[-1], "labels": labels[-1]})
    files["batches.meta"] = pickle.dumps({"label_names": ["airplane", "automobile", "bird"]})
    tree = {f"cifar-10-batches-py/{name}": data for name, data in files.items()}
    data = trees.tar(folder / "cifar-10-python.tar.gz", tree).read_bytes()
    monkeypatch.setattr(CIFAR10, "url", f"{url}/cifar-10-python.tar.gz")
    monkeypatch.setattr(CIFAR10, "tgz_md5", md5(data))
    monkeypatch.setattr(CIFAR10, "train_list", [[n, md5(files[n])] for n in names[:-1]])
    monkeypatch.setattr(CIFAR10, "test_list", [[names[-1], md5(files[names[-1]])]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": md5(files["batches.meta"])})
    images = np.concatenate(images).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return images, np.concatenate(labels)


def test_cifar10(cifar10, data_dir, leftovers, capsys):
    images, labels = cifar10
    dataset = open_data(DataConfig(name="cifar10"), data_dir)
    order = np.argsort(labels[:15], kind="stable")
    np.testing.assert_array_equal(dataset.train.images, images[:15][order])
    np.testing.assert_array_equal(dataset.train.labels, labels[:15][order])
    assert len(dataset.test) == 3
    assert dataset.classes == ("airplane", "automobile", "bird")
    assert leftovers() == ["cifar10"]
    assert sorted(p.name for p in (data_dir / "cifar10").iterdir()) == [
        "meta.json",
        "test_images.npy",
        "test_labels.npy",
        "train_images.npy",
        "train_labels.npy",
    ]
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "downloading cifar10\ndecoding cifar10 (18 images)\n"


def test_stl10(served, data_dir, monkeypatch):
    folder, url = served
    random = np.random.RandomState(0)
    files = {
        "train_X.bin": random.randint(0, 256, 4 * 27648, dtype=np.uint8).tobytes(),
        "train_y.bin": bytes([2, 1, 2, 1]),
        "unlabeled_X.bin": b"",
        "test_X.bin": random.randint(0, 256, 2 * 27648, dtype=np.uint8).tobytes(),
        "test_y.bin": bytes([1, 2]),
        "class_names.txt": b"airplane\nbird\n",
        "fold_indices.txt": b"",
    }
    tree = {f"stl10_binary/{name}": data for name, data in files.items()}
    data = trees.tar(folder / "stl10_binary.tar.gz", tree).read_bytes()
    monkeypatch.setattr(STL10, "url", f"{url}/stl10_binary.tar.gz")
    monkeypatch.setattr(STL10, "tgz_md5", md5(data))
    for part in ("train_list", "test_list"):
        monkeypatch.setattr(STL10, part, [[n, md5(files[n])] for n, _ in getattr(STL10, part)])
    dataset = open_data(DataConfig(name="stl10"), data_dir)
    assert dataset.size == 96
    assert dataset.classes == ("airplane", "bird")
    assert dataset.train.labels.tolist() == [0, 0, 1, 1]
    # Stored channel by channel, column by column.
    raw = np.frombuffer(files["train_X.bin"], np.uint8).reshape(4, 3, 96, 96)
    np.testing.assert_array_equal(dataset.train.images[0], raw[1].transpose(2, 1, 0))


def test_imagenette_is_what_an_import_of_its_archive_is(served, data_dir, monkeypatch):
    folder, url = served
    tree = {}
    for number, name in enumerate(("n01440764", "n02102040")):
        for split, count in (("train", 3), ("val", 1)):
            for i in range(count):
                data = trees.png(10 * number + i, 320, 330 + i)
                jpeg = io.BytesIO()
                Image.open(io.BytesIO(data)).save(jpeg, "JPEG")
                tree[f"imagenette2-320/{split}/{name}/{i}.JPEG"] = jpeg.getvalue()
    tree["imagenette2-320/noisy_imagenette.csv"] = b"x"
    archive = trees.tar(folder / "imagenette2-320.tgz", tree)
    sizes = {"320px": (f"{url}/{archive.name}", md5(archive.read_bytes()))}
    monkeypatch.setattr(Imagenette, "_ARCHIVES", sizes)
    dataset = open_data(DataConfig(name="imagenette"), data_dir)
    assert dataset.size == 224
    assert (len(dataset.train), len(dataset.test)) == (6, 2)
    imported = import_dataset("other", archive, data_dir, size=224)
    assert imported.meta.fingerprint == dataset.fingerprint
    assert {p.suffix for p in (data_dir / "imagenette").iterdir()} == {".npy", ".json"}


@pytest.fixture
def fashion_mnist(served, monkeypatch):
    """A FashionMNIST of 6 train and 4 test images; gives the train images."""
    folder, url = served
    random = np.random.RandomState(0)
    resources, train = [], None
    for split, count in (("train", 6), ("t10k", 4)):
        images = random.randint(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8)[::-1]
        train = images if train is None else train
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            # The idx format: type and dimensions, then each length, big-endian.
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
            name = f"{split}-{kind}-ubyte.gz"
            (folder / name).write_bytes(gzip.compress(header + array.tobytes()))
            resources.append((name, md5((folder / name).read_bytes())))
    monkeypatch.setattr(FashionMNIST, "mirrors", [f"{url}/"])
    monkeypatch.setattr(FashionMNIST, "resources", resources)
    return train


FASHION_MNIST = DataConfig(name="torchvision/FashionMNIST")


def test_a_set_of_torchvision_by_name(fashion_mnist, data_dir, leftovers):
    dataset = open_data(FASHION_MNIST, data_dir)
    # Gray becomes three channels; rows are sorted by class, and these came backwards.
    np.testing.assert_array_equal(
        dataset.train.images, fashion_mnist[::-1, :, :, None].repeat(3, axis=3)
    )
    assert dataset.train.labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert dataset.classes[9] == "Ankle boot"
    small = open_data(FASHION_MNIST, data_dir, 14, download=False)
    assert small.fingerprint == dataset.fingerprint
    assert leftovers() == ["torchvision.FashionMNIST"]
    metas = dict(list_datasets(data_dir))["torchvision/FashionMNIST"]
    assert [meta.size for meta in metas] == [28, 14]


def test_a_set_of_torchvision_without_a_server(fashion_mnist, data_dir, monkeypatch, leftovers):
    with pytest.raises(SweepsError, match=r"is not in .* at this size; `sweeps run` .* builds it"):
        open_data(FASHION_MNIST, data_dir, download=False)
    monkeypatch.setattr(FashionMNIST, "mirrors", ["http://127.0.0.1:1/"])
    with pytest.raises(SweepsError) as error:
        open_data(FASHION_MNIST, data_dir)
    assert str(error.value) == (
        "cannot download torchvision/FashionMNIST: [Errno 111] Connection refused; where there is "
        "no internet, `sweeps data import NAME PATH` takes an archive"
    )
    assert leftovers() == []


class _Photos:
    """Twelve photos of each of two places, of many sizes, as a class of torchvision's."""

    def __init__(self, root, download):
        assert download

    def __len__(self):
        return 24

    def __getitem__(self, index):
        return Image.new("L", (20 + index, 30), 10 * index), 5 if index % 2 else 3


def test_a_set_of_many_sizes_without_a_test_split(data_dir, monkeypatch):
    monkeypatch.setattr(torchvision.datasets, "SUN397", _Photos)
    config = DataConfig(name="torchvision/SUN397", size=16)
    dataset = open_data(config, data_dir)
    assert dataset.train.images.shape == (20, 16, 16, 3)
    # A sixth of each class is held out; classes without names have their numbers.
    assert dataset.test.labels.tolist() == [0, 0, 1, 1]
    assert dataset.classes == ("3", "5")
    values = np.concatenate([dataset.train.images, dataset.test.images])[:, 0, 0, 0]
    assert sorted(values.tolist()) == list(range(0, 240, 10))
    smaller = open_data(config, data_dir, 12)
    assert smaller.fingerprint != dataset.fingerprint
    assert [meta.size for meta in dict(list_datasets(data_dir))["torchvision/SUN397"]] == [12, 16]
    assert open_data(config, data_dir, download=False).size == 16
    with pytest.raises(DatasetUnavailable):
        open_data(config, data_dir, 20, download=False)


def test_a_missing_package_is_named(data_dir, monkeypatch, leftovers):
    monkeypatch.setattr(download, "find_spec", lambda _: None)
    with pytest.raises(SweepsError, match=r"needs packages .*: pip install h5py gdown$"):
        open_data(DataConfig(name="torchvision/PCAM"), data_dir)
    assert leftovers() == []


@pytest.mark.parametrize("name", SETS)
def test_torchvision_takes_what_each_set_is_made_with(name):
    recipe = SETS[name]
    make = inspect.signature(getattr(torchvision.datasets, name)).bind
    options = {option: values[0] for option, values in recipe.options.items()}
    for arguments in (*recipe.train, *recipe.test):
        bound = make("root", download=True, **arguments, **options)
        assert set(bound.kwargs.get("kwargs", {})) <= {"download", "train"}


def refused(data_dir, leftovers, pattern):
    with pytest.raises(SweepsError, match=pattern) as error:
        open_data(DataConfig(name="cifar10"), data_dir)
    assert "sweeps data import cifar10 PATH" in str(error.value)
    assert leftovers() == []
    assert socket.getdefaulttimeout() is None


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        (b"<html>login please</html>", "not the expected archive"),
        ("half of it", "not the expected archive"),
        (None, "404"),
    ],
)
def test_a_wrong_archive(cifar10, served, data_dir, leftovers, content, pattern):
    path = served[0] / "cifar-10-python.tar.gz"
    whole = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(whole[: len(whole) // 2] if content == "half of it" else content)
    refused(data_dir, leftovers, pattern)


def test_a_server_that_swallows_everything(cifar10, data_dir, leftovers, monkeypatch):
    monkeypatch.setattr(download, "_TIMEOUT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(CIFAR10, "url", f"http://127.0.0.1:{silent.getsockname()[1]}/x")
        start = time.monotonic()
        refused(data_dir, leftovers, "timed out")
        assert time.monotonic() - start < 5


def test_a_full_disk_is_not_taken_for_a_network_failure(cifar10, data_dir, monkeypatch, leftovers):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CIFAR10, "download", full)
    with pytest.raises(SweepsError, match="is full"):
        open_data(DataConfig(name="cifar10"), data_dir)
    assert leftovers() == []
