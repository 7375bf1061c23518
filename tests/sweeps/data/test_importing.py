"""Imports of good trees: what becomes of them."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sweeps.data import import_dataset, list_datasets, open_data
from sweeps.errors import SweepsError
from sweeps.spec.data import DataConfig
from tests.sweeps.data import trees


def fingerprint_of(path, data_dir):
    return import_dataset("mine", path, data_dir).meta.fingerprint


def test_images_and_labels_arrive_sorted(tmp_path, data_dir):
    tree = trees.make()
    result = import_dataset("mine", trees.tar(tmp_path / "t.tgz", tree), data_dir)
    dataset = open_data(DataConfig(name="mine"), data_dir)
    assert not result.already_there
    assert result.meta.source == "import"
    assert dataset.classes == ("ant", "bee", "cat")
    assert dataset.size == 8
    assert len(dataset.train) == 18
    assert dataset.train.labels.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    assert dataset.train.labels.dtype == np.int64
    assert isinstance(dataset.train.images, np.memmap)
    for split in ("train", "test"):
        names = sorted(name for name in tree if name.startswith(split))
        for row, name in enumerate(names):
            (tmp_path / "one.png").write_bytes(tree[name])
            expected = np.asarray(Image.open(tmp_path / "one.png"))
            np.testing.assert_array_equal(getattr(dataset, split).images[row], expected)
    pixels = dataset.train.images.reshape(-1, 3) / 255
    np.testing.assert_allclose(dataset.mean, pixels.mean(0), atol=1e-12)
    np.testing.assert_allclose(dataset.std, pixels.std(0), atol=1e-12)


def test_directory_tar_and_zip_have_one_fingerprint(tmp_path):
    tree = trees.make()
    rooted = trees.make(root="some-root/")
    found = {
        fingerprint_of(trees.directory(tmp_path / "tree", tree), tmp_path / "1"),
        fingerprint_of(trees.tar(tmp_path / "t.tar", tree, "w"), tmp_path / "2"),
        fingerprint_of(trees.tar(tmp_path / "t.tar.gz", tree, "w:gz"), tmp_path / "3"),
        fingerprint_of(trees.tar(tmp_path / "t.tar.xz", tree, "w:xz"), tmp_path / "4"),
        fingerprint_of(trees.tar(tmp_path / "t.tar.bz2", tree, "w:bz2"), tmp_path / "5"),
        fingerprint_of(trees.zip(tmp_path / "t.zip", tree), tmp_path / "6"),
        fingerprint_of(trees.zip(tmp_path / "r.zip", rooted), tmp_path / "7"),
        fingerprint_of(trees.tar(tmp_path / "v.tar", trees.make(test="val"), "w"), tmp_path / "8"),
    }
    # Never changes: studies are bound to it.
    assert found == {"sha256:d2ba26aae30518d5"}


def test_another_image_or_class_name_changes_the_fingerprint(tmp_path):
    tree = trees.make()
    changed = {**tree, "train/ant/00.png": trees.png(999)}
    renamed = {name.replace("ant", "antelope"): data for name, data in tree.items()}
    found = [
        fingerprint_of(trees.zip(tmp_path / f"{i}.zip", t), tmp_path / str(i))
        for i, t in enumerate((tree, changed, renamed))
    ]
    assert len(set(found)) == 3


def test_hidden_and_other_files_are_ignored(tmp_path):
    tree = trees.make()
    junk = {
        "train/.DS_Store": b"x",
        "__MACOSX/train/ant/._00.png": b"x",
        "train/ant/._00.png": b"x",
        ".hidden/cat/1.png": b"x",
        "README.md": b"x",
        "train/bee/Thumbs.db": b"x",
    }
    plain = fingerprint_of(trees.zip(tmp_path / "a.zip", tree), tmp_path / "1")
    assert fingerprint_of(trees.zip(tmp_path / "b.zip", {**tree, **junk}), tmp_path / "2") == plain


def test_without_splits_a_sixth_of_every_class_is_held_out(tmp_path, data_dir):
    tree = {f"{c}/{i:02}.png": trees.png(ord(c) * 50 + i) for c in "abc" for i in range(13)}
    path = trees.directory(tmp_path / "tree", tree)
    result = import_dataset("mine", path, data_dir)
    assert any("test" in note for note in result.notes)
    dataset = open_data(DataConfig(name="mine"), data_dir)
    assert np.bincount(dataset.test.labels).tolist() == [2, 2, 2]
    assert np.bincount(dataset.train.labels).tolist() == [11, 11, 11]
    everything = np.concatenate([dataset.train.images, dataset.test.images]).reshape(39, -1)
    assert len(np.unique(everything, axis=0)) == 39
    again = fingerprint_of(trees.zip(tmp_path / "t.zip", tree), tmp_path / "other")
    assert again == dataset.fingerprint


def test_a_class_may_be_called_train(tmp_path, data_dir):
    tree = {f"{c}/{i}.png": trees.png(i + len(c)) for c in ("bus", "train") for i in range(3)}
    result = import_dataset("mine", trees.zip(tmp_path / "t.zip", tree), data_dir)
    assert result.meta.classes == ("bus", "train")


def test_a_third_split_is_left_out_and_said(tmp_path, data_dir):
    tree = {**trees.make(), "val/ant/1.png": trees.png(5), "val/bee/1.png": trees.png(6)}
    result = import_dataset("mine", trees.zip(tmp_path / "t.zip", tree), data_dir)
    assert result.notes == ("the folder 'val' is left out",)
    assert result.meta.counts["test"] == 6


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "LA", "I;16"])
def test_every_mode_becomes_rgb(tmp_path, data_dir, mode):
    tree = trees.make()
    suffix = "tif" if mode == "CMYK" else "png"
    del tree["train/ant/00.png"]
    tree[f"train/ant/00.{suffix}"] = (
        trees.png(3, mode=mode) if mode != "I;16" else _sixteen_bit(tmp_path)
    )
    import_dataset("mine", trees.zip(tmp_path / "t.zip", tree), data_dir)
    image = open_data(DataConfig(name="mine"), data_dir).train.images[0]
    assert image.shape == (8, 8, 3)
    if mode in ("L", "LA", "1", "I;16"):
        assert (image == image[..., :1]).all()
    if mode == "I;16":
        assert image[0, :, 0].tolist() == [0, 31, 62, 93, 124, 155, 186, 217]


def _sixteen_bit(tmp_path):
    ramp = np.tile(np.arange(8, dtype=np.uint16) * 31 * 256, (8, 1))
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    return (tmp_path / "deep.png").read_bytes()


def test_mixed_sizes_need_a_size_and_are_cropped_to_it(tmp_path, data_dir):
    tree = {**trees.make(), "train/ant/00.png": trees.png(1, 20, 10)}
    path = trees.zip(tmp_path / "t.zip", tree)
    with pytest.raises(SweepsError, match=r"not all square and.*20x10") as error:
        import_dataset("mine", path, data_dir)
    assert "size" in str(error.value)
    result = import_dataset("mine", path, data_dir, size=10)
    assert result.meta.size == 10
    (tmp_path / "one.png").write_bytes(tree["train/ant/00.png"])
    expected = np.asarray(Image.open(tmp_path / "one.png"))[:, 5:15]
    np.testing.assert_array_equal(
        open_data(DataConfig(name="mine"), data_dir).train.images[0], expected
    )


def test_equal_sizes_that_differ_later_name_two(tmp_path, data_dir):
    tree = {**trees.make(), "train/cat/05.png": trees.png(1, 9, 9)}
    with pytest.raises(SweepsError, match=r"of one size.*8x8.*9x9"):
        import_dataset("mine", trees.zip(tmp_path / "t.zip", tree), data_dir)


def test_the_same_again_is_success_and_changes_nothing(tmp_path, data_dir, leftovers):
    path = trees.zip(tmp_path / "t.zip", trees.make())
    import_dataset("mine", path, data_dir)
    before = (data_dir / "mine" / "meta.json").stat().st_mtime_ns
    result = import_dataset("mine", path, data_dir)
    assert result.already_there
    assert (data_dir / "mine" / "meta.json").stat().st_mtime_ns == before
    assert leftovers() == ["mine"]


def test_another_dataset_is_replaced_only_when_asked(tmp_path, data_dir, leftovers):
    first = import_dataset("mine", trees.zip(tmp_path / "a.zip", trees.make()), data_dir)
    open_data(DataConfig(name="mine"), data_dir, 4)
    mapped = open_data(DataConfig(name="mine"), data_dir)
    kept = np.array(mapped.train.images)
    other = trees.zip(tmp_path / "b.zip", trees.make(size=12))
    with pytest.raises(SweepsError, match="another dataset 'mine'"):
        import_dataset("mine", other, data_dir)
    assert open_data(DataConfig(name="mine"), data_dir).fingerprint == first.meta.fingerprint
    result = import_dataset("mine", other, data_dir, replace=True)
    assert result.meta.size == 12
    assert open_data(DataConfig(name="mine"), data_dir, 4).fingerprint == result.meta.fingerprint
    np.testing.assert_array_equal(mapped.train.images, kept)
    assert leftovers() == ["mine"]


def test_an_import_is_used_like_the_download(tmp_path, data_dir):
    path = trees.zip(tmp_path / "t.zip", trees.make())
    import_dataset("cifar10", path, data_dir)
    assert open_data(DataConfig(name="cifar10"), data_dir, download=False).classes == (
        "ant",
        "bee",
        "cat",
    )
    assert [meta.source for meta in dict(list_datasets(data_dir))["cifar10"]] == ["import"]


@pytest.mark.slow
@pytest.mark.skipif("INTERPODIL_TEST_DATA" not in os.environ, reason="needs INTERPODIL_TEST_DATA")
def test_real_cifar10(data_dir):
    path = Path(os.environ["INTERPODIL_TEST_DATA"]) / "cifar10.tar.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    start = time.monotonic()
    info = import_dataset("cifar10", path, data_dir).meta
    assert (info.counts, info.size) == ({"train": 50_000, "test": 10_000}, 32)
    dataset = open_data(DataConfig(name="cifar10"), data_dir)
    np.testing.assert_allclose(dataset.mean, (0.4914, 0.4822, 0.4465), atol=0.002)
    np.testing.assert_allclose(dataset.std, (0.2470, 0.2435, 0.2616), atol=0.004)
    assert time.monotonic() - start < 200
