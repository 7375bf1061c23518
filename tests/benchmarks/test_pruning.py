"""The benchmark of the pruners."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.pruning import replay, search
from sweeps.spec.pruners import Asha, NoPruner

# Of runs whose order is the same after every epoch.
CURVES = [[value / 100 + 0.1 * epoch for epoch in range(6)] for value in range(32)]


def test_without_a_pruner_a_search_runs_every_epoch():
    steps = list(search(CURVES[:4], NoPruner(name="none"), workers=2))
    assert len(steps) == 4 * 6
    assert steps[-1] == (4, CURVES[3][-1])
    # Two workers are done with their first trials after as many epochs of each.
    assert [ended for ended, _ in steps[9:12]] == [0, 1, 2]
    assert [best for _, best in steps[9:12]] == [0, CURVES[0][-1], CURVES[1][-1]]


def test_a_run_that_diverged_ends_there():
    curves = [[0.5, math.nan], [0.1, 0.2]]
    assert list(search(curves, NoPruner(name="none"), workers=1))[1:] == [(1, 0), (1, 0), (2, 0.2)]


def test_pruners_spare_epochs():
    none, asha = (
        replay(CURVES, pruner, trials=8, orders=20, workers=2)
        for pruner in (NoPruner(name="none"), Asha())
    )
    assert (none.kept, none.lost, none.share) == (1, 0, 1)
    assert none.speed == pytest.approx(1, abs=0.05)
    # The order never changes, so the best is never pruned.
    assert (asha.kept, asha.lost) == (1, 0)
    assert asha.share < 0.75
    assert asha.speed > 1.1


def test_runs_are_recorded_and_replayed(tmp_path):
    file = tmp_path / "curves.json"
    command = [sys.executable, "-m", "benchmarks.pruning", "--trials", "2", "--orders", "2"]
    recording = ["--data", "patterns", "--runs", "3", "--images", "256", "--validation", "128"]
    recording += ["--epochs", "3", "--data-dir", str(tmp_path), "--json", str(file)]
    folder = Path(__file__).parents[2]
    first = subprocess.run(
        [*command, *recording], check=True, cwd=folder, stdout=subprocess.PIPE
    ).stdout.decode()
    runs = json.loads(file.read_text())["runs"]
    assert len({run["values"]["training.learning_rate"] for run in runs}) == 3
    assert all(len(run["val_accuracy"]) == 3 for run in runs)
    assert "2 trials of 3 epochs: 2 orders of 3 runs" in first
    again = subprocess.check_output([*command, "--curves", str(file)], cwd=folder).decode()
    assert again.splitlines() == first[first.index("searches") - 1 :].splitlines()
