"""The benchmark of the rule that stops runs at chance."""

import json
import subprocess
import sys
from pathlib import Path


def test_drawn_runs_are_trained_to_their_end(tmp_path):
    file = tmp_path / "chance.json"
    # In a process of its own, which is then restricted to one thread.
    command = [sys.executable, "-m", "benchmarks.chance", "--data", "patterns", "--runs", "3"]
    command += ["--images", "256", "--validation", "128", "--epochs", "3", "--batch", "8"]
    folder = Path(__file__).parents[2]
    command += ["--data-dir", str(tmp_path), "--json", str(file)]
    subprocess.run(command, check=True, cwd=folder)
    measured = json.loads(file.read_text())
    assert measured["config"]["training"]["epochs"] == 3
    runs = measured["runs"]
    assert len(runs) == 3
    assert len({run["values"]["training.learning_rate"] for run in runs}) == 3
    assert all(0 <= run["accuracy"] <= 1 for run in runs)
