"""Opening: what is built when, by whom, and what an accident leaves."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from sweeps.data import import_dataset, list_datasets, open_data
from sweeps.data.cache import CacheWriter
from sweeps.errors import SweepsError
from sweeps.spec.data import DataConfig
from tests.sweeps.data import trees


@pytest.fixture
def mine(tmp_path, data_dir):
    path = trees.zip(tmp_path / "t.zip", trees.make(size=16))
    return import_dataset("mine", path, data_dir)


def test_unknown_names_the_nearest_and_the_way(mine, data_dir, leftovers):
    with pytest.raises(SweepsError, match=r"mean cifar10\? \(given: 'cifar-10'.*data import"):
        open_data(DataConfig(name="cifar-10"), data_dir)
    with pytest.raises(SweepsError, match=r"^data\.name: no such dataset; did you mean mine"):
        open_data(DataConfig(name="mien"), data_dir)
    with pytest.raises(SweepsError, match="did you mean torchvision/KMNIST"):
        open_data(DataConfig(name="kmnist"), data_dir)
    with pytest.raises(SweepsError, match="did you mean torchvision/CIFAR100"):
        open_data(DataConfig(name="cifar100"), data_dir)
    with pytest.raises(SweepsError, match="did you mean cifar10"):
        open_data(DataConfig(name="CIFAR10"), data_dir)
    with pytest.raises(SweepsError, match=r"given: '\.\./mine'"):
        open_data(DataConfig(name="../mine"), data_dir)
    assert leftovers() == ["mine"]


def test_not_downloading_says_how_to_import(data_dir, leftovers):
    with pytest.raises(SweepsError, match="sweeps data import cifar10 PATH"):
        open_data(DataConfig(name="cifar10"), data_dir, download=False)
    assert leftovers() == []


def test_scaled_sizes(mine, data_dir, leftovers):
    base = open_data(DataConfig(name="mine"), data_dir)
    small = open_data(DataConfig(name="mine"), data_dir, 4)
    assert small.train.images.shape == (18, 4, 4, 3)
    assert small.fingerprint == base.fingerprint
    assert small.classes == base.classes
    np.testing.assert_array_equal(small.test.labels, base.test.labels)
    # Scaled with antialias: far from the plain subsample, near the mean over blocks.
    blocks = base.train.images.reshape(18, 4, 4, 4, 4, 3).mean((2, 4))
    assert np.abs(small.train.images - blocks).mean() < 15
    assert np.abs(small.train.images - base.train.images[:, 2::4, 2::4].astype(int)).mean() > 40
    assert (data_dir / "mine" / "at-4" / "meta.json").exists()
    assert leftovers() == ["mine"]
    assert [meta.size for meta in dict(list_datasets(data_dir))["mine"]] == [16, 4]


def test_scaling_up_is_refused(mine, data_dir):
    with pytest.raises(SweepsError, match=r"16 pixels.*17"):
        open_data(DataConfig(name="mine"), data_dir, 17)


def test_listing(mine, data_dir):
    listed = dict(list_datasets(data_dir))
    assert list(listed) == ["cifar10", "imagenette", "stl10", "patterns", "mine"]
    assert listed["mine"] == [mine.meta]
    assert mine.meta.counts == {"train": 18, "test": 6}
    assert listed["cifar10"] == []


def test_a_damaged_cache_is_reported(mine, data_dir):
    images = data_dir / "mine" / "train_images.npy"
    images.write_bytes(images.read_bytes()[:-100])
    with pytest.raises(SweepsError, match=r"damaged.* remove"):
        open_data(DataConfig(name="mine"), data_dir)
    (data_dir / "mine" / "meta.json").write_text("{")
    with pytest.raises(SweepsError, match=r"damaged.* remove"):
        open_data(DataConfig(name="mine"), data_dir)
    (data_dir / "mine" / "meta.json").write_text('{"format": 99}')
    with pytest.raises(SweepsError, match="of another release"):
        open_data(DataConfig(name="mine"), data_dir)


def test_a_cache_of_an_older_release_is_read(mine, data_dir):
    path = data_dir / "mine" / "meta.json"
    fields = json.loads(path.read_text())
    older = {**fields, "base_size": 16, "created": "2026-11-20T10:00:00+00:00"}
    path.write_text(json.dumps(older))
    assert open_data(DataConfig(name="mine"), data_dir).fingerprint == mine.meta.fingerprint


def test_what_is_there_is_opened_without_writing(mine, data_dir):
    for path in (data_dir, *data_dir.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        before = sorted(data_dir.rglob("*"))
        assert len(open_data(DataConfig(name="mine"), data_dir).train) == 18
        assert sorted(data_dir.rglob("*")) == before
        if os.access(data_dir, os.W_OK):
            pytest.skip("this user may write anyway")
        with pytest.raises(SweepsError, match="not writable"):
            open_data(DataConfig(name="mine"), data_dir, 4)
    finally:
        for path in (data_dir, *data_dir.rglob("*")):
            path.chmod(0o755)


@pytest.mark.parametrize(
    ("number", "message"),
    [(errno.ENOSPC, "is full"), (errno.EROFS, "not writable"), (errno.EACCES, "not writable")],
)
def test_disk_accidents(mine, data_dir, leftovers, monkeypatch, number, message):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(CacheWriter, "write", fail)
    with pytest.raises(SweepsError, match=message):
        open_data(DataConfig(name="mine"), data_dir, 4)
    assert leftovers() == ["mine"]
    assert not (data_dir / "mine" / "at-4").exists()


def test_a_data_folder_that_is_a_file(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(SweepsError, match="not a folder"):
        open_data(DataConfig(name="patterns"), tmp_path / "data")


def test_an_interrupted_build_leaves_nothing(mine, data_dir, leftovers, monkeypatch):
    write, calls = CacheWriter.write, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        write(*arguments)

    monkeypatch.setattr(CacheWriter, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        open_data(DataConfig(name="mine"), data_dir, 4)
    assert leftovers() == ["mine"]
    monkeypatch.undo()
    assert open_data(DataConfig(name="mine"), data_dir, 4).size == 4


def _drawing(data_dir):
    code = (
        "from pathlib import Path; from sweeps.data import open_data; "
        "from sweeps.spec.data import DataConfig; "
        f"open_data(DataConfig(name='patterns'), Path({str(data_dir)!r}), 64)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not list(data_dir.glob(".patterns.tmp/train_images.npy")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def test_ctrl_c_leaves_nothing_and_what_a_kill_leaves_is_swept(data_dir, leftovers):
    process = _drawing(data_dir)
    process.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in process.communicate(timeout=60)[1]
    assert leftovers() == []
    process = _drawing(data_dir)
    process.kill()
    process.communicate(timeout=60)
    assert leftovers() == [".patterns.tmp"]
    other = data_dir / ".patterns-two.tmp"
    other.mkdir()  # Of another dataset, whose builder may be alive.
    open_data(DataConfig(name="patterns"), data_dir, 16)
    assert leftovers() == [other.name, "patterns"]


def test_a_replacement_that_died_midway_is_undone(mine, tmp_path, data_dir, leftovers):
    (data_dir / "mine").rename(data_dir / ".mine.old")
    path = trees.zip(tmp_path / "t.zip", trees.make(size=16))
    assert import_dataset("mine", path, data_dir).already_there
    assert leftovers() == ["mine"]


_TOGETHER = """
import os, sys, time
from pathlib import Path
data_dir, shared = Path(sys.argv[1]), Path(sys.argv[2])
(shared / f"ready-{os.getpid()}").touch()
while not (shared / "go").exists():
    time.sleep(0.005)
"""
_COUNTING = """
from sweeps.data import open_data, patterns
from sweeps.spec.data import DataConfig
build = patterns.build_patterns
def counted(*arguments):
    (shared / f"built-{os.getpid()}").touch()
    build(*arguments)
patterns.build_patterns = counted
assert open_data(DataConfig(name="patterns"), data_dir, 16).train.images.sum() > 0
"""
_FAILING = """
from sweeps.data.building import building
for turn in range(50):
    try:
        with building("mine", data_dir):
            # Fails where another process has the lock too.
            os.close(os.open(shared / "inside", os.O_CREAT | os.O_EXCL))
            os.unlink(shared / "inside")
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
"""


@pytest.fixture
def together(tmp_path, data_dir):
    """Run a script in four processes at once; return their stderr and the folder they share."""

    def run(script):
        shared = tmp_path / "shared"
        shared.mkdir()
        command = [sys.executable, "-c", _TOGETHER + script, str(data_dir), str(shared)]
        workers = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(4)]
        deadline = time.monotonic() + 60
        while len(list(shared.glob("ready-*"))) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        (shared / "go").touch()
        said = b"".join(worker.communicate(timeout=60)[1] for worker in workers)
        assert [worker.returncode for worker in workers] == [0] * 4, said
        return said, shared

    return run


def test_processes_that_start_at_once_build_once(together, leftovers):
    said, shared = together(_COUNTING)
    assert len(list(shared.glob("built-*"))) == 1
    assert b"waiting for another process that is building patterns" in said
    assert leftovers() == ["patterns"]


def test_builds_that_fail_keep_each_other_out_and_leave_nothing(together, data_dir):
    together(_FAILING)
    assert [path.name for path in data_dir.rglob("*")] == [".mine.lock"]


def test_importing_the_package_does_not_import_torch():
    code = "import sys, sweeps.data; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
