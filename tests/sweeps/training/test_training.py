"""Training: it learns, repeats itself, stops when asked, and survives divergence."""

import math
import subprocess
import sys

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sweeps.data import split_rows
from sweeps.errors import SweepsError
from sweeps.training import new_model, resolve_precision, train
from tests.sweeps.training.runs import CPU, run_config


def _config(**values):
    """A configuration with values, ``training__epochs`` for ``training.epochs``."""
    more = {"data__train_limit": 600, "data__validation_limit": 300, "training__flip": False}
    return run_config(**more | values)


def test_it_learns(patterns):
    results = list(train(_config(training__epochs=5), patterns, CPU))
    assert [result.epoch for result in results] == [1, 2, 3, 4, 5]
    assert results[-1].train_loss < 0.9 * results[0].train_loss
    assert results[-1].val_accuracy > 0.2  # Ten classes: chance is 0.1.
    assert not any(result.diverged for result in results)
    assert all(result.images_per_second > 0 and result.seconds > 0 for result in results)
    # One cycle: up to the peak in the first epochs, and down to next to nothing.
    rates = [result.learning_rate for result in results]
    assert 0.03 < max(rates) <= 0.05
    assert rates[2] > rates[3] > rates[4] == pytest.approx(0.05 / 250_000)


def test_the_same_configuration_gives_the_same_numbers(patterns):
    def numbers(config):
        torch.rand(7)  # The global generator's state must not matter, nor be changed.
        before = torch.get_rng_state()
        results = [(r.train_loss, r.val_loss, r.val_accuracy) for r in train(config, patterns, CPU)]
        assert torch.equal(before, torch.get_rng_state())
        return results

    assert numbers(_config()) == numbers(_config())
    assert numbers(_config()) != numbers(_config(seed=1))


def test_layers_are_compared_from_the_same_start(patterns):
    """Same seed, same base weights, up to the scale: differences come from the layer alone."""
    weights = []
    for values in ({"layer__growth": 5}, {"layer__growth": 7}):
        layer = new_model(_config(**values), patterns).conv1
        weights.append(layer.weight / layer.weight.std())
    torch.testing.assert_close(*weights)


def test_several_seeds_are_measured_on_the_same_images(patterns):
    rows = [split_rows(_config(seed=seed), patterns)[1].tolist() for seed in (0, 1)]
    assert rows[0] == rows[1]
    other = split_rows(_config(data__split_seed=1), patterns)[1].tolist()
    assert other != rows[0]


class _Reads(TorchDispatchMode):
    """Counts what makes the program wait for a GPU: numbers and shapes read off tensors."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        waits = ("_local_scalar_dense", "nonzero", "masked_select", "equal")
        self.count += any(str(function).startswith(f"aten.{name}.") for name in waits)
        return function(*args, **kwargs or {})


def test_no_step_waits_for_what_it_computed(patterns):
    """Only an epoch's end reads numbers, so a GPU is never idle between steps."""
    counts = []
    for images in (100, 600):
        config = _config(
            data__train_limit=images,
            training__epochs=1,
            training__flip=True,
            training__crop=2,
            training__clip_norm=1.0,
            training__micro_batches=2,
        )
        with _Reads() as reads:
            list(train(config, patterns, CPU))
        counts.append(reads.count)
    assert counts[0] == counts[1] > 0


def test_divergence_ends_the_run_as_such(patterns):
    results = list(train(_config(training__learning_rate=1e18), patterns, CPU))
    assert results[-1].diverged
    assert math.isnan(results[-1].val_accuracy)
    assert len(results) < 3


@pytest.mark.parametrize(
    ("precision", "channels_last"), [("float32", True), ("float32", False), ("bfloat16", True)]
)
def test_precisions_and_memory_formats(patterns, precision, channels_last):
    config = _config(
        training__precision=precision, training__channels_last=channels_last, training__epochs=1
    )
    [result] = train(config, patterns, CPU)
    assert math.isfinite(result.val_loss)


def test_precision_is_resolved_by_device(patterns):
    config = _config(training__precision="auto")
    resolved = [resolve_precision(config, CPU, patterns).training.precision for _ in range(2)]
    # Which one depends on the CPU, and is measured once.
    assert resolved in ([name, name] for name in ("float32", "bfloat16"))
    with pytest.raises(SweepsError, match="float16 needs a GPU"):
        resolve_precision(_config(training__precision="float16"), CPU, patterns)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"training__crop": 16}, "training.crop 16 is too large for images of 16 pixels"),
        ({"training__batch_size": 601}, "training.batch_size 601 is more than the 600"),
        ({"layer__stride": 6}, "stride 6 leaves nothing"),
    ],
)
def test_what_does_not_fit_the_images_is_refused(patterns, values, message):
    with pytest.raises(SweepsError, match=message):
        next(train(_config(**values), patterns, CPU))


def test_training_knows_no_optuna():
    code = "import sys, sweeps.training, sweeps.export.exported; sys.exit('optuna' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["auto", "float16", "float32"])
def test_it_trains_on_a_gpu(patterns, precision):
    device = torch.device("cuda")
    config = resolve_precision(_config(training__precision=precision), device, patterns)
    results = list(train(config, patterns, device))
    assert results[-1].train_loss < results[0].train_loss
