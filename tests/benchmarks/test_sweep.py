"""The benchmark of whole searches."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_every_way_runs_the_same_trials(tmp_path):
    file = tmp_path / "sweep.json"
    command = [sys.executable, "-m", "benchmarks.sweep", "--quick", "--json", str(file)]
    folder = Path(__file__).parents[2]
    done = subprocess.run(command, check=True, cwd=folder, capture_output=True, text=True)
    measured = json.loads(file.read_text())
    ways = measured["searches"]["ways"]
    assert len(ways) == 5
    for name, of_way in ways.items():
        assert name in done.stdout
        # One epoch leaves nothing to prune.
        (accuracies,) = of_way["accuracies"]
        assert len(accuracies) == len(measured["searches"]["trials"]) == 8
    assert all(name in done.stdout for name in measured["steps"])
