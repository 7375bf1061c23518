"""The benchmark of what an epoch costs."""

import json
import subprocess
import sys
from pathlib import Path


def test_the_first_run_is_measured_in_both_precisions(tmp_path):
    file = tmp_path / "epochs.json"
    # In a process of its own, which is then restricted to one thread.
    command = [sys.executable, "-m", "benchmarks.epochs", "--first", "--epochs", "2", "--json"]
    subprocess.run([*command, str(file)], check=True, cwd=Path(__file__).parents[2])
    measured = json.loads(file.read_text())["results"]
    assert [entry["precision"] for entry in measured] == ["float32", "bfloat16"]
    assert all(len(entry["seconds"]) == 2 for entry in measured)
