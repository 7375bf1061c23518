"""`sweeps run` and what follows it, in real processes."""

import os
import pty
import re
import socket
import sqlite3

import pytest
from ruamel.yaml import YAML

from storage import list_workers, open_storage, open_study, read_epochs
from sweeps.spec.files import load_yaml
from tests.sweeps.conftest import LOOP, SMALL, Place
from tests.sweeps.waiting import is_gone

HOST = socket.gethostname().split(".")[0]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, data_dir):
    """A sweep that ran to its end with two workers, and what it printed."""
    place = Place(tmp_path_factory.mktemp("finished"), data_dir)
    tree = {**SMALL, "pruner": {"name": "asha", "min_epochs": 1, "reduction_factor": 2}}
    tree["budget"] = {"trials": 10}
    place.write_spec(tree)
    done = place.run("run", "spec.yaml", "--workers", "2", "--devices", "cpu")
    assert done.returncode == 0, done.stderr
    return place, done


@pytest.fixture
def there(finished, cli, monkeypatch, data_dir):
    """The command line in this process, in the folder of the finished sweep."""
    place, _ = finished
    monkeypatch.chdir(place.folder)
    monkeypatch.setenv("SWEEPS_DATA_DIR", str(data_dir))
    return cli


class TestFinished:
    def test_it_has_exactly_its_trials_with_the_baselines_first(self, finished):
        place, _ = finished
        study = place.study()
        assert study.study_name == "small-patterns"
        assert len(study.trials) == 10
        states = {trial.state.name for trial in study.trials}
        assert states <= {"COMPLETE", "PRUNED"}
        names = [trial.user_attrs.get("configuration") for trial in study.trials]
        assert names[:2] == ["plain 3x3", "linear 5x5"]
        assert [trial.state.name for trial in study.trials[:2]] == ["COMPLETE"] * 2

    def test_both_workers_worked_and_are_gone(self, finished):
        place, _ = finished
        study = place.study()
        assert {trial.user_attrs["worker"] for trial in study.trials} == {
            f"{HOST}-0",
            f"{HOST}-1",
        }
        for worker in list_workers(open_storage(str(place.folder / "sweeps.db")), study._study_id):
            assert worker.ended is not None
            assert is_gone(worker.pid)

    def test_a_pipe_gets_plain_lines_and_stdout_the_result(self, finished):
        _, done = finished
        assert "\x1b" not in done.stdout + done.stderr
        assert "started: plain 3x3" in done.stderr
        for number in range(10):
            assert re.search(rf"trial +{number} (completed|pruned) +val_acc", done.stderr)
        assert "Best: trial" in done.stdout
        assert "plain 3x3" in done.stdout
        assert "sweeps dashboard" in done.stdout
        assert "sweeps export -o best.yaml" in done.stdout
        assert not [line for line in done.stdout.splitlines() if line != line.rstrip()]

    def test_every_epoch_is_recorded(self, finished):
        place, _ = finished
        storage = open_storage(str(place.folder / "sweeps.db"))
        for trial in open_study(storage).trials:
            records = read_epochs(storage, trial._trial_id)
            assert [r.epoch for r in records] == sorted(trial.intermediate_values)
            for record in records:
                assert record.metrics["val_accuracy"] == trial.intermediate_values[record.epoch]
                assert record.metrics["learning_rate"] > 0
                assert record.metrics["seconds"] > 0
                assert record.metrics["images_per_second"] > 0

    def test_trials_and_study_carry_attributes_and_notes(self, finished):
        place, _ = finished
        study = place.study()
        for trial in study.trials:
            attributes = trial.user_attrs
            growth = trial.params.get("layer.growth", 3)
            assert attributes["kernel_size"] == f"{growth}x{growth}"
            assert attributes["receptive_field"] == growth + 7
            assert attributes["parameters"] > 10_000
            assert attributes["images_per_second"] > 0
        attributes = study._storage.get_study_system_attrs(study._study_id)
        notes = "".join(str(value) for key, value in attributes.items() if "note" in key)
        assert "startup_trials: 2" in notes
        assert "Effective kernel" in notes

    def test_a_second_run_adds_nothing(self, finished, there):
        place, _ = finished
        status, out, err = there("run", "spec.yaml", "--workers", "2", "--devices", "cpu")
        assert status == 0
        assert "has all of its 10 trials" in err
        assert "Best: trial" in out
        assert len(place.study().trials) == 10

    def test_status_tells_the_same(self, finished, there):
        _, done = finished
        status, out, _ = there("status")
        assert status == 0
        assert re.search(r"Best: .*", done.stdout)[0] in out
        assert "0 of 10 trials left" in out

    def test_a_changed_spec_is_refused_with_what_changed(self, finished, there, small):
        place, _ = finished
        small["training"]["batch_size"] = 25
        status, _, err = there("run", place.write_spec(small, "changed.yaml"))
        assert status == 1
        assert "training.batch_size" in err
        assert "--study NAME" in err
        assert len(err.splitlines()) == 1

    def test_other_images_are_refused(self, finished, there, tmp_path):
        place, _ = finished
        copy = tmp_path / "other.db"
        source = sqlite3.connect(place.folder / "sweeps.db")
        source.backup(sqlite3.connect(copy))
        study = open_study(open_storage(str(copy)))
        study.set_user_attr("data_fingerprint", "sha256:0000000000000000")
        status, _, err = there("run", "spec.yaml", "--storage", str(copy), "--trials", "20")
        assert status == 1
        assert "made with other images (sha256:0000000000000000" in err

    def test_the_best_trains_again_to_the_same_number(self, finished):
        place, _ = finished
        exported = place.run("export", "-o", "best.yaml")
        assert exported.returncode == 0, exported.stderr
        tree = load_yaml((place.folder / "best.yaml").read_text(), "best.yaml")
        study = place.study()
        assert tree["source"]["trial"] == study.best_trial.number
        assert tree["source"]["value"] == study.best_value
        assert tree["source"]["params"] == study.best_params
        assert list(tree) == ["layer", "model", "training", "data", "seed", "source"]
        (place.folder / "notes.txt").write_text("mine")
        refused = place.run("train", "best.yaml", "--save", "notes.txt")
        assert refused.returncode == 1
        assert "notes.txt: exists; name another file, or replace it with --force" in refused.stderr
        assert (place.folder / "notes.txt").read_text() == "mine"
        trained = place.run("train", "best.yaml", "--save", "weights.pt")
        assert trained.returncode == 0, trained.stderr
        assert f"{study.best_value:.6g}, the same as trial" in trained.stdout
        assert (place.folder / "weights.pt").stat().st_size > 10_000

    def test_an_exported_configuration_is_no_spec(self, finished, there):
        place, _ = finished
        (place.folder / "exported.yaml").write_text(there("export")[1])
        status, _, err = there("run", "exported.yaml")
        assert status == 1
        assert "sweeps train exported.yaml" in err

    def test_another_seed_is_said_to_be_another(self, finished, there, monkeypatch):
        place, _ = finished
        # The command sets them for its process, which is this one.
        for name in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"):
            monkeypatch.setenv(name, os.environ.get(name, ""))
        (place.folder / "seed.yaml").write_text(there("export")[1])
        status, out, _ = there("train", "seed.yaml", "--seed", "5")
        assert status == 0
        assert "with seed 5" in out

    def test_a_dry_run_tells_what_is_done(self, finished, there):
        place, _ = finished
        _, out, _ = there("run", "spec.yaml", "--dry-run", "--devices", "cpu")
        assert "small-patterns: 10 of 10 trials done" in out
        assert len(place.study().trials) == 10

    def test_the_n_best_are_exported_best_first(self, finished, there):
        place, _ = finished
        assert there("export", "--top", "2", "-o", "top.yaml")[0] == 0
        values = [
            load_yaml((place.folder / f"top-{i}.yaml").read_text(), "")["source"]["value"]
            for i in (1, 2)
        ]
        assert values == sorted(values, reverse=True)
        both = there("export", "--top", "2")[1]
        assert [tree["source"]["value"] for tree in YAML(typ="safe").load_all(both)] == values

    def test_another_worker_finds_the_budget_spent(self, finished):
        place, _ = finished
        done = place.run("worker")
        assert done.returncode == 0, done.stderr
        assert done.stderr.endswith(": 10 of 10 trials done\n")
        assert len(place.study().trials) == 10

    def test_more_trials_resume_the_same_study(self, finished):
        """Last, since it adds to the study."""
        place, _ = finished
        more = place.run("run", "spec.yaml", "--trials", "12", "--workers", "1")
        assert more.returncode == 0, more.stderr
        study = place.study()
        assert len(study.trials) == 12
        assert "12 of 12 trials" in more.stdout


def test_hopeless_trials_are_pruned_and_baselines_never(place, small):
    """Each trial's accuracy is worse than all before it."""
    small["pruner"] = {"name": "asha", "min_epochs": 1, "reduction_factor": 2}
    spec = place.write_spec(small)
    worse = [
        "import itertools, sweeps.worker.objective",
        "from sweeps.training import EpochResult",
        "runs = itertools.count(1)",
        "def train(*arguments, **settings):",
        "    accuracy = 1 / next(runs)",
        "    for epoch in (1, 2):",
        "        yield EpochResult(epoch, 1.0, 1.0, accuracy, 0.1, 1.0, 100.0)",
        "sweeps.worker.objective.train = train",
    ]
    (place.folder / "sitecustomize.py").write_text("\n".join(worse))
    place.environment["PYTHONPATH"] = str(place.folder)
    done = place.run("run", spec, "--workers", "1")
    assert done.returncode == 0, done.stderr
    trials = place.study().trials
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 2 + ["PRUNED"] * 4
    assert [max(trial.intermediate_values) for trial in trials] == [2, 2, 1, 1, 1, 1]


class TestTerminal:
    def test_a_live_table_shows_workers_and_the_best(self, place):
        # The table is drawn twice a second, so also between the first epoch and the last.
        report = "        context.report"
        slow = LOOP.replace(report, f"        time.sleep(0.4)\n{report}")
        spec = place.write_loop(f"import time\n{slow}", training={"epochs": 4})
        master, slave = pty.openpty()
        place.environment |= {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
        run = place.start("run", spec, "--workers", "1", "--trials", "3", stderr=slave)
        os.close(slave)
        shown = b""
        try:
            while chunk := os.read(master, 65536):
                shown += chunk
        except OSError:
            pass  # The terminal is closed with its last process.
        run.communicate(timeout=60)
        os.close(master)
        text = shown.decode(errors="replace")
        assert run.returncode == 0
        for word in (f"{HOST}-0", "epoch", "loss", "3/3 trials", "best 0.", "left"):
            assert word in text


class TestFallback:
    """There is no internet in the tests: the proxy is a closed port."""

    @pytest.fixture(autouse=True)
    def _no_internet(self, place):
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            place.environment[name] = "http://127.0.0.1:9"
        place.environment.pop("no_proxy", None)

    def test_it_is_said_and_shows_in_the_studys_name(self, place, small):
        small["data"]["name"] = "cifar10"
        small["fallback"] = "patterns"
        spec = place.write_spec(small)
        done = place.run("run", spec, "--workers", "1", "--trials", "2")
        assert done.returncode == 0, done.stderr
        assert "FALLING BACK to the dataset 'patterns'" in done.stderr
        assert place.study().study_name == "small-patterns"
        again = place.run("run", spec, "--trials", "2")
        assert "FALLING BACK" not in again.stderr
        assert "cifar10 is still unavailable; the study is on patterns" in again.stderr

    def test_without_a_fallback_it_is_refused(self, place, small):
        small["data"]["name"] = "cifar10"
        refused = place.run("run", place.write_spec(small))
        assert refused.returncode == 1
        assert "cannot download cifar10" in refused.stderr
        assert "sweeps data import cifar10" in refused.stderr
        assert not (place.folder / "sweeps.db").exists()
