"""The rule that stops runs that do not learn, on recorded runs and in training.

``recorded_losses.npz`` has the loss of every step and the last epoch's accuracy of 878 runs: 2,000
images of ten classes, 4 epochs of 31 steps, batches of 64, the one-cycle schedule. 478 had settings
drawn from the space of the presets and beyond it (learning rates from 0.005 to 0.5) on CIFAR-10 and
Imagenette, 400 are seeds of two fixed configurations. Two more that diverged are left out.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from sweeps.errors import NotLearning
from sweeps.spec.training import TrainingConfig
from sweeps.training import train
from sweeps.training.chance import ChanceWatch, chance_loss
from tests.sweeps.training.runs import CPU, run_config

EPOCHS, STEPS = 4, 31


@pytest.fixture(scope="module")
def recorded():
    with np.load(Path(__file__).with_name("recorded_losses.npz")) as file:
        return file["loss_thousandths"] / 1000, file["val_accuracy"]


@pytest.fixture(scope="module")
def stopped_at(recorded):
    """The step at which each recorded run would have been stopped; all steps for not at all."""
    labels = np.arange(2000) % 10
    return np.array([_stopped_at(losses, labels) for losses in recorded[0]])


def _stopped_at(losses, labels):
    watch = ChanceWatch(TrainingConfig(epochs=EPOCHS), labels, STEPS, torch.device("cpu"))
    for step, loss in enumerate(torch.from_numpy(losses)):
        try:
            watch.add(step, loss)
        except NotLearning:
            return step
    return EPOCHS * STEPS


def test_it_stops_no_run_that_learns(recorded, stopped_at):
    good = recorded[1] >= 0.25
    assert good.sum() > 600
    assert (stopped_at[good] == EPOCHS * STEPS).all()
    # It learned late and little: the best of its kind reach 0.49.
    late = (recorded[1] >= 0.2) & (stopped_at < EPOCHS * STEPS)
    assert [round(float(accuracy), 3) for accuracy in recorded[1][late]] == [0.208]


def test_it_stops_most_runs_at_chance_before_half_their_steps(recorded, stopped_at):
    dead = recorded[1] <= 0.12
    assert dead.sum() == 170
    assert (stopped_at[dead] < EPOCHS * STEPS).mean() > 0.8
    assert np.median(stopped_at[dead]) < EPOCHS * STEPS / 2


def test_chance_is_the_entropy_of_the_labels():
    assert chance_loss(np.arange(50) % 10) == pytest.approx(np.log(10))
    assert chance_loss(np.array([0, 0, 0, 1])) == pytest.approx(0.5623, abs=1e-4)
    # Smoothing leaves the loss of equal shares as it is, and raises that of others.
    assert chance_loss(np.arange(50) % 10, 0.1) == pytest.approx(np.log(10))
    assert chance_loss(np.array([0, 0, 0, 1]), 0.1) > 0.5623


@pytest.mark.parametrize("stop_at_chance", [True, False])
def test_training_is_given_up_early_only_where_that_is_asked_for(patterns, stop_at_chance):
    config = run_config(training__epochs=12, training__learning_rate=2.0)
    epochs = train(config, patterns, CPU, stop_at_chance=stop_at_chance)
    if not stop_at_chance:
        results = list(epochs)
        assert len(results) == 12
        assert results[-1].val_accuracy < 0.2
        return
    done = []
    with pytest.raises(NotLearning, match="in a row was that of chance"):
        done.extend(epochs)
    assert len(done) < 12
