"""Trials that are put away and gone on with: to the same numbers, from the right file."""

import dataclasses
import io
import itertools
import math
import os
from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest
import torch

from storage import (
    end_trial,
    end_worker,
    list_workers,
    open_storage,
    reclaim,
    register_worker,
)
from sweeps.errors import Interrupted, SweepsError
from sweeps.export.environment import describe_environment
from sweeps.spec.config import RunConfig
from sweeps.spec.spec import parse_spec
from sweeps.study.study import open_or_create_study
from sweeps.training import train
from sweeps.worker.checkpoints import Checkpoints, check_folder
from sweeps.worker.objective import TrainingObjective
from sweeps.worker.trial import Desk, run_trial
from tests.storage.claiming import at_work

CPU = torch.device("cpu")


def _config(**values):
    settings = {
        "data.name": "patterns",
        "data.size": 16,
        "data.train_limit": 300,
        "data.validation_limit": 200,
        "training.epochs": 3,
        "training.batch_size": 50,
        "training.learning_rate": 0.05,
        "training.crop": 2,
        "training.precision": "float32",
    }
    return RunConfig().with_values(settings | values)


class InMemory:
    """A checkpoint in memory."""

    def __init__(self, *, due=False):
        self.content = None
        self.due = due
        self.writes = 0
        self.refused = []

    def refuse(self, reason):
        self.refused.append(reason)

    def read(self):
        return self.content

    def write(self, content):
        self.content = content
        self.writes += 1

    def is_due(self):
        return self.due


def _numbers(results):
    return [(r.epoch, r.train_loss, r.val_loss, r.val_accuracy, r.learning_rate) for r in results]


def _stop_after(calls):
    """Asked for a stop at the n-th time it is looked."""
    left = iter(range(calls))
    return lambda: next(left, None) is None


@pytest.fixture(scope="module")
def undisturbed(patterns):
    return _numbers(train(_config(), patterns, CPU))


class TestGoingOn:
    # Six batches and one of validation an epoch: in the middle of an epoch, at its last batch, in
    # the validation, at the first batch of the next, and often.
    @pytest.mark.parametrize("calls", [[3], [5], [6], [7], [1, 1, 1, 1, 9], [4, 4, 4, 4]])
    def test_it_ends_with_the_numbers_of_an_undisturbed_run(self, patterns, undisturbed, calls):
        checkpoint = InMemory()
        for stop in calls:
            with pytest.raises(Interrupted):
                list(
                    train(
                        _config(),
                        patterns,
                        CPU,
                        should_stop=_stop_after(stop),
                        checkpoint=checkpoint,
                    )
                )
        assert _numbers(train(_config(), patterns, CPU, checkpoint=checkpoint)) == undisturbed

    def test_a_process_that_dies_loses_what_came_after_its_last_checkpoint_alone(
        self, patterns, undisturbed
    ):
        checkpoint = InMemory(due=True)
        run = train(_config(), patterns, CPU, checkpoint=checkpoint)
        next(run)
        del run
        looked = []
        resumed = train(
            _config(), patterns, CPU, should_stop=lambda: looked.append(1), checkpoint=checkpoint
        )
        assert _numbers(resumed) == undisturbed
        # Of the first epoch, the last batch and the validation; then two epochs of six and one.
        assert len(looked) == 2 + 2 * 7

    def test_none_is_written_before_it_is_due(self, patterns):
        checkpoint = InMemory()
        list(train(_config(), patterns, CPU, checkpoint=checkpoint))
        assert checkpoint.writes == 0

    @pytest.mark.parametrize(
        ("name", "value", "reason"),
        [
            ("training.learning_rate", 0.01, "training.learning_rate is 0.05 there and 0.01 here"),
            ("training.crop", 1, "training.crop is 2 there and 1 here"),
            ("layer.growth", 5, "layer.growth is None there and 5 here"),
            ("seed", 1, "seed is 0 there and 1 here"),
        ],
    )
    def test_one_with_another_setting_is_refused_with_both_values(
        self, patterns, name, value, reason
    ):
        checkpoint = InMemory(due=True)
        list(train(_config(), patterns, CPU, checkpoint=checkpoint))
        other = _config(**{name: value})
        assert _numbers(train(other, patterns, CPU, checkpoint=checkpoint)) == _numbers(
            train(other, patterns, CPU)
        )
        assert checkpoint.refused == [reason]

    def test_all_settings_that_differ_are_named(self, patterns):
        checkpoint = InMemory(due=True)
        next(train(_config(), patterns, CPU, checkpoint=checkpoint))
        other = _config(**{"training.momentum": 0.5, "layer.edge": 0.25})
        next(train(other, patterns, CPU, checkpoint=checkpoint))
        assert checkpoint.refused == [
            "layer.edge is 0.5 there and 0.25 here; training.momentum is 0.9 there and 0.5 here"
        ]

    def test_one_of_other_data_is_refused_with_both_fingerprints(self, patterns):
        checkpoint = InMemory(due=True)
        next(train(_config(), patterns, CPU, checkpoint=checkpoint))
        other = dataclasses.replace(patterns, fingerprint="sha256:another")
        next(train(_config(), other, CPU, checkpoint=checkpoint))
        assert checkpoint.refused == [
            f"the fingerprint of the data is {patterns.fingerprint!r} there and 'sha256:another' "
            "here"
        ]

    def test_one_of_a_release_with_other_settings_is_refused(self, patterns):
        checkpoint = InMemory(due=True)
        next(train(_config(), patterns, CPU, checkpoint=checkpoint))
        kept = torch.load(io.BytesIO(checkpoint.content))
        kept["run"]["config"]["training"]["dropout"] = 0.1
        content = io.BytesIO()
        torch.save(kept, content)
        checkpoint.content = content.getvalue()
        next(train(_config(), patterns, CPU, checkpoint=checkpoint))
        assert len(checkpoint.refused) == 1
        assert "training.dropout: no such key" in checkpoint.refused[0]

    @pytest.mark.parametrize("damage", ["cut", "other weights"])
    def test_one_that_cannot_be_used_is_said_and_the_run_starts_anew(
        self, patterns, undisturbed, damage
    ):
        checkpoint = InMemory(due=True)
        list(train(_config(), patterns, CPU, checkpoint=checkpoint))
        if damage == "cut":
            checkpoint.content = checkpoint.content[:1000]
        else:
            kept = torch.load(io.BytesIO(checkpoint.content))
            kept["state"]["model"].popitem()
            content = io.BytesIO()
            torch.save(kept, content)
            checkpoint.content = content.getvalue()
        assert _numbers(train(_config(), patterns, CPU, checkpoint=checkpoint)) == undisturbed
        assert len(checkpoint.refused) == 1


class TestMicroBatches:
    def test_the_gradient_is_that_of_the_whole_batch(self, patterns):
        """The tutorial's model has no batch normalisation, so only rounding differs."""
        whole = list(train(_config(), patterns, CPU))
        parts = list(train(_config(**{"training.micro_batches": 4}), patterns, CPU))
        for one, other in zip(whole, parts, strict=True):
            assert math.isclose(one.train_loss, other.train_loss, rel_tol=1e-3)
            assert one.val_accuracy == pytest.approx(other.val_accuracy, abs=0.02)

    # In the middle of the first epoch, and of the second.
    @pytest.mark.parametrize("calls", [3, 10])
    @pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 1), (2, 5)])
    def test_a_run_resumes_with_others(self, patterns, calls, before, after):
        undisturbed = list(train(_config(), patterns, CPU))
        checkpoint = InMemory()
        parts = _config(**{"training.micro_batches": before})
        with pytest.raises(Interrupted):
            list(train(parts, patterns, CPU, should_stop=_stop_after(calls), checkpoint=checkpoint))
        looked = []
        resumed = list(
            train(
                _config(**{"training.micro_batches": after}),
                patterns,
                CPU,
                should_stop=lambda: looked.append(1),
                checkpoint=checkpoint,
            )
        )
        assert checkpoint.refused == []
        # The validation is done in parts too.
        validations = math.ceil(200 / math.ceil(500 / after))
        assert len(looked) < 3 * (6 + validations), "as many as without the checkpoint"
        assert [result.told_again for result in resumed] == [calls > 6, False, False]
        for one, other in zip(undisturbed, resumed, strict=True):
            assert math.isclose(one.train_loss, other.train_loss, rel_tol=1e-3)
            assert math.isclose(one.val_loss, other.val_loss, rel_tol=1e-2)
            assert one.learning_rate == other.learning_rate


#: Two batches and a validation in each of two epochs: in half precision a CPU takes its time.
SHORT = {"training.epochs": 2, "data.train_limit": 100, "data.validation_limit": 20}


class TestPrecision:
    # In the middle of the second epoch.
    @pytest.mark.parametrize(
        ("before", "after"), list(itertools.permutations(["float32", "bfloat16", "float16"], 2))
    )
    def test_a_run_resumes_in_another(self, patterns, before, after):
        checkpoint = InMemory()
        first = _config(**SHORT, **{"training.precision": before})
        with pytest.raises(Interrupted):
            list(train(first, patterns, CPU, should_stop=_stop_after(3), checkpoint=checkpoint))
        looked = []
        results = list(
            train(
                _config(**SHORT, **{"training.precision": after}),
                patterns,
                CPU,
                should_stop=lambda: looked.append(1),
                checkpoint=checkpoint,
            )
        )
        assert checkpoint.refused == []
        assert len(looked) == 2 * 3 - 3
        assert all(math.isfinite(result.val_loss) for result in results)

    def test_float16_goes_on_with_the_scale_that_it_has_found(self, patterns):
        half = _config(**SHORT, **{"training.precision": "float16"})
        checkpoint = InMemory()
        with pytest.raises(Interrupted):
            list(train(half, patterns, CPU, should_stop=_stop_after(3), checkpoint=checkpoint))
        resumed = _numbers(train(half, patterns, CPU, checkpoint=checkpoint))
        assert resumed == _numbers(train(half, patterns, CPU))


@pytest.fixture
def study(tmp_path, patterns, small):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = open_storage(str(tmp_path / "sweeps.db"), create=True)
    small["baselines"] = []
    small["training"]["precision"] = "float32"
    return open_or_create_study(storage, parse_spec(small, "small"), "study", patterns)


class TestFiles:
    def test_a_trial_that_stands_in_for_another_begins_with_its_file(self, study, tmp_path):
        said = []
        kept = Checkpoints(tmp_path / "kept", study, seconds=0, say=said.append)
        storage = study._storage._backend
        for number in range(2):
            study.ask()
            kept.of(number, study.trials).write(f"of {number}".encode())
            end_trial(storage, study, number, "interrupted")
        assert kept.of(2, study.trials).read() == b"of 1"
        kept.of(2, study.trials).write(b"of 2")
        assert kept.of(2, study.trials).read() == b"of 2"
        assert kept.of(1, study.trials).read() == b"of 1", "its own, were it to come back"

    def test_what_no_trial_needs_is_removed(self, study, tmp_path):
        kept = Checkpoints(tmp_path / "kept", study, seconds=0, say=print)
        storage = study._storage._backend
        for number in range(3):
            study.ask()
            kept.of(number, study.trials).write(b"x")
        (kept.folder / ".trial-000000.pt.half").write_bytes(b"x")
        end_trial(storage, study, 0, "completed", value=0.5)
        end_trial(storage, study, 1, "lost")
        before = study.trials
        kept.of(9, study.trials).write(b"of a trial that began after the look at the study")
        kept.tidy(before)
        names = sorted(file.name for file in kept.folder.iterdir())
        assert names == ["trial-000001.pt", "trial-000002.pt", "trial-000009.pt"]

    def test_the_folder_goes_with_its_last_file(self, study, tmp_path):
        kept = Checkpoints(tmp_path / "kept", study, seconds=0, say=print)
        study.ask()
        kept.of(0, study.trials).write(b"x")
        end_trial(study._storage._backend, study, 0, "completed", value=0.5)
        kept.tidy(study.trials)
        assert not kept.folder.exists()

    def test_the_folder_of_all_studies_is_not_ours_to_remove(self, study, tmp_path):
        mine = tmp_path / "mine"
        mine.mkdir(mode=0o2770)
        before = mine.stat()
        kept = Checkpoints(mine, study, seconds=0, say=print)
        kept.tidy(study.trials)
        study.ask()
        kept.of(0, study.trials).write(b"x")
        end_trial(study._storage._backend, study, 0, "completed", value=0.5)
        kept.tidy(study.trials)
        after = mine.stat()
        assert list(mine.iterdir()) == []
        assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)

    def test_why_a_checkpoint_is_not_used_is_said_in_a_line(self, study, tmp_path):
        said = []
        kept = Checkpoints(tmp_path, study, seconds=0, say=said.append)
        kept.of(3, []).refuse("seed is 0 there and 1 here\nand more")
        assert said == [
            "trial-000003 starts anew, its checkpoint cannot be used: seed is 0 there and 1 here"
        ]

    def test_the_folder_stays_while_a_trial_may_be_about_to_write_there(self, study, tmp_path):
        kept = Checkpoints(tmp_path / "kept", study, seconds=0, say=print)
        study.ask()
        kept.folder.mkdir(parents=True)
        kept.tidy(study.trials)
        assert kept.folder.exists()

    @pytest.mark.parametrize("tidied", ["the file", "the folder"])
    def test_what_others_tidy_away_meanwhile_is_written_again(
        self, study, tmp_path, monkeypatch, tidied
    ):
        """As where this worker was suspended while it wrote, and its trial taken from it."""
        said = []
        checkpoints = Checkpoints(tmp_path, study, say=said.append)
        tidy, sync = [True], os.fsync

        def sync_and_be_slow(file):
            sync(file)
            if tidy:
                tidy.clear()
                (beside,) = checkpoints.folder.iterdir()
                beside.unlink()
                if tidied == "the folder":
                    checkpoints.folder.rmdir()

        monkeypatch.setattr(os, "fsync", sync_and_be_slow)
        trial = study.ask()
        checkpoint = checkpoints.of(trial.number, study.trials)
        checkpoint.write(b"kept")
        assert not tidy
        assert checkpoint.read() == b"kept"
        assert said == []

    def test_a_disk_that_takes_none_is_told_once_and_no_trial_fails(self, study, tmp_path):
        (tmp_path / "kept").write_text("a file where the folder should be")
        said = []
        kept = Checkpoints(tmp_path / "kept", study, seconds=0, say=said.append)
        checkpoint = kept.of(0, study.trials)
        checkpoint.write(b"x")
        checkpoint.write(b"x")
        assert len(said) == 1
        assert "no checkpoint is written" in said[0]
        assert checkpoint.read() is None

    def test_a_folder_that_takes_none_is_refused_before_the_start(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(SweepsError, match=r"--checkpoint-dir .*/file/below: cannot be written"):
            check_folder(tmp_path / "file" / "below")
        check_folder(tmp_path / "new" / "folder")
        assert (tmp_path / "new" / "folder").is_dir()

    def test_studies_of_the_same_name_do_not_share_one(self, study, tmp_path):
        first = Checkpoints(tmp_path, study, say=print).folder
        study.set_user_attr("sweep_id", "another")
        assert Checkpoints(tmp_path, study, say=print).folder != first


class TestTrials:
    """Trials of a worker, with what happens to their training in its place."""

    @pytest.fixture
    def run(self, study, patterns, tmp_path):
        from sweeps.study.study import read_spec

        storage = study._storage._backend
        worker = register_worker(storage, study._study_id, "w", "cpu")
        kept = Checkpoints(tmp_path / "kept", study, seconds=0, say=print)
        objective = TrainingObjective(
            read_spec(study), patterns, CPU, describe_environment("cpu"), kept
        )

        def one(should_stop=lambda: False):
            desk = Desk(study, storage, worker.worker_id, "w", should_stop)
            with at_work(storage, study, worker.worker_id) as trial:
                return run_trial(desk, objective, trial), study.trials[trial.number]

        return one

    def test_an_interrupted_one_is_gone_on_with_and_its_epochs_are_told_again(self, run, study):
        outcome, trial = run(_stop_after(9))
        assert outcome == "interrupted"
        assert list(trial.intermediate_values) == [1]
        outcome, again = run()
        assert outcome == "completed"
        assert again.params == trial.params
        assert again.intermediate_values[1] == trial.intermediate_values[1]
        assert list(again.intermediate_values) == [1, 2]

    def test_no_epoch_that_was_survived_is_judged_anew(self, run, study):
        run(_stop_after(9))
        study.pruner = optuna.pruners.ThresholdPruner(lower=2.0)
        assert run()[0] == "completed"
        outcome, other = run()
        assert outcome == "pruned"
        assert list(other.intermediate_values) == [1]

    def test_out_of_memory_is_tried_again_once_in_micro_batches(self, run, study, monkeypatch):
        def too_much(*arguments, **settings):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            yield

        monkeypatch.setattr("sweeps.worker.objective.train", too_much)
        outcome, trial = run()
        assert outcome == trial.user_attrs["outcome"] == "out_of_memory"
        assert study.trials[1].state.name == "WAITING"
        outcome, again = run()
        assert outcome == "failed"
        assert again.user_attrs["config"]["training"]["micro_batches"] == 4
        assert again.user_attrs["reason"] == (
            "out of memory: CUDA out of memory. Tried to allocate 2.00 GiB (in 4 micro-batches)"
        )
        assert again.params == trial.params
        assert [t.state.name for t in study.trials] == ["FAIL", "FAIL"]

    def test_a_retry_in_less_memory_resumes_from_the_checkpoint(self, run, study, monkeypatch):
        """The second epoch is too much: its retry replays the first and does the second alone."""
        real, resumed = train, []

        def too_much_later(config, *arguments, **settings):
            if config.training.micro_batches > 1:
                stop = settings["should_stop"]
                settings["should_stop"] = lambda: resumed.append(1) or stop()
            for result in real(config, *arguments, **settings):
                yield result
                if config.training.micro_batches == 1:
                    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

        monkeypatch.setattr("sweeps.worker.objective.train", too_much_later)
        outcome, trial = run()
        assert outcome == "out_of_memory"
        assert list(trial.intermediate_values) == [1]
        outcome, retry = run()
        assert outcome == "completed"
        assert retry.user_attrs["retry_of"] == trial.number
        assert retry.user_attrs["config"]["training"]["micro_batches"] == 4
        assert retry.intermediate_values[1] == trial.intermediate_values[1]
        # Written before the last batch of the first epoch: that, and what comes after. The
        # validation is done in parts too.
        assert len(resumed) == (1 + 2) + (6 + 2)
        assert [t.state.name for t in study.trials] == ["FAIL", "COMPLETE"]

    def test_less_memory_may_be_enough(self, run, monkeypatch):
        real = train

        def too_much_at_once(config, *arguments, **settings):
            if config.training.micro_batches == 1:
                raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
            yield from real(config, *arguments, **settings)

        monkeypatch.setattr("sweeps.worker.objective.train", too_much_at_once)
        assert run()[0] == "out_of_memory"
        outcome, trial = run()
        assert outcome == "completed"
        assert trial.user_attrs["config"]["training"]["micro_batches"] == 4

    def test_any_other_error_fails_it_with_the_traceback_as_an_artifact(
        self, run, study, monkeypatch
    ):
        from optuna.artifacts import get_all_artifact_meta

        from storage import DatabaseArtifactStore

        def broken(*arguments, **settings):
            raise ZeroDivisionError("by nought\nand more")
            yield

        monkeypatch.setattr("sweeps.worker.objective.train", broken)
        outcome, trial = run()
        assert outcome == "failed"
        assert trial.user_attrs["reason"] == "ZeroDivisionError: by nought"
        [artifact] = get_all_artifact_meta(trial, storage=study._storage)
        assert (artifact.filename, artifact.mimetype) == ("traceback.txt", "text/plain")
        store = DatabaseArtifactStore(study._storage._backend)
        text = store.open_reader(artifact.artifact_id).read().decode()
        assert text.startswith("Traceback")
        assert "ZeroDivisionError: by nought" in text

    def test_one_that_was_taken_from_its_worker_leaves_the_other_alone(self, run, study):
        """It was suspended for so long that another ended it; it finds out when it reports."""
        looked = []
        storage = study._storage._backend

        def lose():
            """As another process that takes this worker for dead."""
            end_worker(storage, list_workers(storage, study._study_id)[0].worker_id)
            assert reclaim(storage, study) == [0]

        def taken():
            looked.append(1)
            if len(looked) == 3:
                with ThreadPoolExecutor() as another:
                    another.submit(lose).result()
            return False

        outcome, trial = run(taken)
        assert outcome == "lost"
        assert trial.intermediate_values == {}
        assert [t.state.name for t in study.trials] == ["FAIL", "WAITING"]


def test_a_checkpoint_is_whole_or_the_one_before(study, tmp_path, monkeypatch):
    """The disk fills up, or the process dies, while one is written."""
    checkpoint = Checkpoints(tmp_path, study, seconds=0, say=lambda text: None).of(0, [])
    checkpoint.write(b"the first")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        checkpoint.write(b"the second")
    assert checkpoint.read() == b"the first"
    assert len(list(Checkpoints(tmp_path, study, say=print).folder.iterdir())) == 1
