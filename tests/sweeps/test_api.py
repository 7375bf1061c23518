"""The public face: a sweep from a script, and its study as tables."""

import subprocess
import sys

import pytest

import sweeps
from tests.sweeps.conftest import LOOP, OWN

SCRIPT = f"""
from sweeps import open_study, parse_spec, run_sweep

spec = parse_spec({OWN!r}, "script")
study = run_sweep(spec, workers=2, devices="cpu")
assert open_study(study.study_name).best_value == study.best_value
again = run_sweep(spec, devices="cpu")
print(len(again.trials), again.best_trial.number)
print(again.trials_dataframe().number.tolist())
print(again.epochs_dataframe().columns.tolist())
print(again.epochs_dataframe().groupby("trial").epoch.max().tolist())
"""


def test_a_script_without_a_guard_runs_a_sweep_resumes_it_and_reads_it(tmp_path):
    (tmp_path / "loops.py").write_text(LOOP)
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 0, done.stderr
    counts, numbers, columns, epochs = done.stdout.splitlines()
    assert counts.startswith("3 ")
    assert numbers == "[0, 1, 2]"
    assert columns.startswith("['trial', 'epoch', ")
    assert "'loss'" in columns
    assert epochs == "[2, 2, 2]"
    assert "own: 0 of 3 trials done" in done.stderr
    assert "own has all of its 3 trials" in done.stderr


def test_mistakes_are_exceptions_with_one_line(tmp_path, small):
    with pytest.raises(sweeps.SweepsError, match="this machine has no GPU"):
        sweeps.run_sweep(
            sweeps.parse_spec(small, "script"),
            storage=str(tmp_path / "sweeps.db"),
            devices="cuda:9",
            data_dir=tmp_path,
        )
    with pytest.raises(Exception, match="no such"):
        sweeps.open_study(storage=str(tmp_path / "sweeps.db"))
    assert not list(tmp_path.iterdir())


def test_names_are_those_that_it_exports():
    assert all(hasattr(sweeps, name) for name in sweeps.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Specs'"):
        _ = sweeps.Specs
