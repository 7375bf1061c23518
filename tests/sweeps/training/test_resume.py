"""Runs that resume from a checkpoint: to the same numbers, or from the start where they cannot."""

import dataclasses
import io
import math

import pytest
import torch
from torch import nn

from sweeps.errors import Interrupted
from sweeps.spec.networks import ImportedModel
from sweeps.training import train
from tests.sweeps.training.runs import CPU, run_config


def _config(**values):
    return run_config(**{"training.crop": 2} | values)


def with_dropout(image_shape, num_classes):
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(4 * image_shape[1] * image_shape[2], num_classes),
    )


class InMemory:
    """A checkpoint in memory."""

    def __init__(self, *, due=False):
        self.content = None
        self.due = due
        self.writes = 0
        self.refused = []
        self.resumed = []

    def refuse(self, reason):
        self.refused.append(reason)

    def accept(self, epoch):
        self.resumed.append(epoch)

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


def _interrupt(config, patterns, checkpoint, *calls):
    """Start or resume a run once for each number, and stop it at that look."""
    for stop in calls:
        with pytest.raises(Interrupted):
            list(train(config, patterns, CPU, should_stop=_stop_after(stop), checkpoint=checkpoint))


@pytest.fixture(scope="module")
def undisturbed(patterns):
    return _numbers(train(_config(), patterns, CPU))


class TestResume:
    # Six batches and one of validation an epoch: in the middle of an epoch, in the validation, at
    # the first batch of the next, and often.
    @pytest.mark.parametrize("calls", [[3], [6], [7], [1, 1, 1, 1, 9]])
    def test_it_ends_with_the_numbers_of_an_undisturbed_run(self, patterns, undisturbed, calls):
        checkpoint = InMemory()
        _interrupt(_config(), patterns, checkpoint, *calls)
        # None is written before it is due.
        assert checkpoint.writes == len(calls)
        assert _numbers(train(_config(), patterns, CPU, checkpoint=checkpoint)) == undisturbed

    @pytest.mark.parametrize(
        "settings",
        [
            {
                "training.optimizer": "adamw",
                "training.learning_rate": 0.005,
                "training.decay_all": False,
                "training.schedule": "cosine",
                "training.clip_norm": 0.5,
                "training.ema": 0.9,
                "training.mixup": 0.3,
                "training.cutmix": 1.0,
                "training.crop_scale_min": 0.4,
            },
            {
                "training.optimizer": {"import": "torch.optim:NAdam", "options": {"eps": 1e-6}},
                "training.learning_rate": 0.005,
                "training.schedule": "step",
                "training.ema": 0.99,
                "training.precision": "bfloat16",
            },
        ],
    )
    def test_so_it_does_with_every_setting(self, patterns, settings):
        config = _config(**settings, **{"training.epochs": 2, "data.train_limit": 300})
        checkpoint = InMemory()
        _interrupt(config, patterns, checkpoint, 1, 9, 3)
        resumed = _numbers(train(config, patterns, CPU, checkpoint=checkpoint))
        assert resumed == _numbers(train(config, patterns, CPU))
        assert all(math.isfinite(number) for epoch in resumed for number in epoch)
        assert checkpoint.refused == []

    def test_so_it_does_with_dropout_whatever_was_drawn_before(self, patterns):
        config = _config().model_copy(
            update={
                "model": ImportedModel.model_validate({"import": f"{__name__}:with_dropout"}),
            }
        )
        undisturbed = _numbers(train(config, patterns, CPU))
        torch.rand(3)
        assert _numbers(train(config, patterns, CPU)) == undisturbed
        checkpoint = InMemory()
        _interrupt(config, patterns, checkpoint, 1, 9, 3)
        before = torch.get_rng_state()
        assert _numbers(train(config, patterns, CPU, checkpoint=checkpoint)) == undisturbed
        assert torch.equal(torch.get_rng_state(), before)

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
        assert checkpoint.resumed == [1]

    @pytest.mark.parametrize(
        ("settings", "reason"),
        [
            (
                {"training.optimizer": "adamw"},
                "training.optimizer is 'sgd' there and 'adamw' here",
            ),
            (
                {"training.ema": 0.9, "layer.edge": 0.25},
                "layer.edge is 0.5 there and 0.25 here; training.ema is 0.0 there and 0.9 here",
            ),
        ],
    )
    def test_one_with_other_settings_is_refused_with_both_values(self, patterns, settings, reason):
        checkpoint = InMemory(due=True)
        list(train(_config(training__epochs=1), patterns, CPU, checkpoint=checkpoint))
        assert checkpoint.writes == 6
        other = _config(**{"training.epochs": 1, **settings})
        assert _numbers(train(other, patterns, CPU, checkpoint=checkpoint)) == _numbers(
            train(other, patterns, CPU)
        )
        assert checkpoint.refused == [reason]

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
        """The tutorial's model has no batch normalization, so only rounding differs."""
        whole = list(train(_config(), patterns, CPU))
        parts = list(train(_config(**{"training.micro_batches": 4}), patterns, CPU))
        for one, other in zip(whole, parts, strict=True):
            assert math.isclose(one.train_loss, other.train_loss, rel_tol=1e-3)
            assert one.val_accuracy == pytest.approx(other.val_accuracy, abs=0.02)

    # In the middle of the first epoch, and of the second.
    @pytest.mark.parametrize(("calls", "before", "after"), [(3, 1, 4), (10, 5, 2)])
    def test_a_run_resumes_with_others(self, patterns, calls, before, after):
        undisturbed = list(train(_config(), patterns, CPU))
        checkpoint = InMemory()
        parts = _config(**{"training.micro_batches": before})
        _interrupt(parts, patterns, checkpoint, calls)
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
        assert [result.replayed for result in resumed] == [calls > 6, False, False]
        for one, other in zip(undisturbed, resumed, strict=True):
            assert math.isclose(one.train_loss, other.train_loss, rel_tol=1e-3)
            assert math.isclose(one.val_loss, other.val_loss, rel_tol=1e-2)
            assert one.learning_rate == other.learning_rate


#: Two batches and a validation in each of two epochs: in half precision a CPU takes its time.
SHORT = {"training.epochs": 2, "data.train_limit": 100, "data.validation_limit": 20}


class TestPrecision:
    # In the middle of the second epoch.
    @pytest.mark.parametrize(
        ("before", "after"),
        [("float32", "bfloat16"), ("bfloat16", "float16"), ("float16", "float32")],
    )
    def test_a_run_resumes_in_another(self, patterns, before, after):
        checkpoint = InMemory()
        first = _config(**SHORT, **{"training.precision": before})
        _interrupt(first, patterns, checkpoint, 3)
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
        half = _config(**SHORT, **{"training.precision": "float16", "training.clip_norm": 1.0})
        checkpoint = InMemory()
        _interrupt(half, patterns, checkpoint, 3)
        resumed = _numbers(train(half, patterns, CPU, checkpoint=checkpoint))
        assert resumed == _numbers(train(half, patterns, CPU))
