"""The drawn dataset: always the same, and with something to learn."""

import numpy as np
import pytest

from sweeps.data import open_data
from sweeps.data import patterns as module
from sweeps.errors import SweepsError
from sweeps.spec.data import DataConfig


@pytest.fixture(scope="module")
def patterns(tmp_path_factory):
    return open_data(DataConfig(name="patterns"), tmp_path_factory.mktemp("data"), 16)


def test_counts_and_classes(patterns):
    assert patterns.train.images.shape == (6000, 16, 16, 3)
    assert np.bincount(patterns.train.labels).tolist() == [600] * 10
    assert np.bincount(patterns.test.labels).tolist() == [120] * 10
    assert list(patterns.classes) == sorted(patterns.classes)


def test_the_fingerprint_is_fixed(patterns):
    assert patterns.fingerprint == "sha256:92982b718fbcf8bc"


def test_no_image_is_there_twice(patterns):
    images = np.concatenate([patterns.train.images, patterns.test.images]).reshape(7200, -1)
    assert len(np.unique(images, axis=0)) == 7200


def test_chunks_do_not_matter(monkeypatch):
    whole = np.concatenate(list(module.draw("rings", 10, 24, (1,))))
    monkeypatch.setattr(module, "_CHUNK_PIXELS", 24 * 24 * 3)
    np.testing.assert_array_equal(np.concatenate(list(module.draw("rings", 10, 24, (1,)))), whole)


def test_stripes_run_as_they_are_called():
    for name, along, across in (("horizontal-stripes", 2, 1), ("vertical-stripes", 1, 2)):
        images = np.concatenate(list(module.draw(name, 100, 32, (1,)))).astype(int)
        change = {axis: np.abs(np.diff(images, axis=axis)).mean() for axis in (1, 2)}
        assert change[across] > change[along] * 1.1


def test_too_small(tmp_path):
    with pytest.raises(SweepsError, match="16 pixels or more"):
        open_data(DataConfig(name="patterns"), tmp_path, 15)
