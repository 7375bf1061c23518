"""What an earlier release made is read, exported and resumed: the commit c5af671.

``sweeps.sql`` is the dump of a study that it ran, of eight trials with a result: two complete, one
failed, five pruned, one of which is the retry of a trial that was interrupted. The names of the
machine and of its folders were replaced.
"""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from storage import list_workers, open_storage, open_study, read_epochs, study_uid
from sweeps.export.exported import read_exported
from sweeps.study.progress import read_progress

HERE = Path(__file__).parent
OUTCOMES = [
    *("completed", "completed", "failed", "interrupted"),
    *("pruned", "pruned", "pruned", "pruned", "pruned"),
]


@pytest.fixture
def place(place):
    with closing(sqlite3.connect(place.folder / "sweeps.db")) as database:
        database.executescript((HERE / "sweeps.sql").read_text())
        # As the program leaves it.
        database.execute("PRAGMA journal_mode = WAL")
    for name in ("best.yaml", "spec.yaml"):
        shutil.copy(HERE / name, place.folder)
    return place


def _rows(path, query):
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


def test_every_trial_value_and_epoch_is_read(place):
    path = place.folder / "sweeps.db"
    values = dict(_rows(path, "SELECT trial_id, value FROM trial_values"))
    steps = _rows(path, "SELECT trial_id, step, intermediate_value FROM trial_intermediate_values")
    epochs = _rows(path, "SELECT * FROM sweeps_epochs ORDER BY trial_id, epoch")
    names = [row[1] for row in _rows(path, "PRAGMA table_info(sweeps_epochs)")][2:]
    assert (len(values), len(steps), len(epochs), len(names)) == (7, 15, 15, 6)

    storage = open_storage(str(path))
    study = open_study(storage)
    assert study.study_name == "small-patterns"
    assert read_progress(storage, study).val_images == 200
    trials = study.trials
    assert [trial.user_attrs["outcome"] for trial in trials] == OUTCOMES
    assert {t._trial_id: t.value for t in trials if t.value is not None} == values
    assert steps == [
        (trial._trial_id, step, value)
        for trial in trials
        for step, value in sorted(trial.intermediate_values.items())
    ]
    assert epochs == [
        (trial._trial_id, record.epoch, *(record.metrics[name] for name in names))
        for trial in trials
        for record in read_epochs(storage, trial._trial_id)
    ]
    assert trials[2].user_attrs["traceback"].endswith("ValueError: no luck with this one\n")
    assert trials[4].user_attrs["retry_of"] == 3
    assert [worker.ended is None for worker in list_workers(storage, study._study_id)] == [
        False
    ] * 2
    assert study_uid(storage, study)
    storage.engine.dispose()


def test_it_exports_the_same_configuration(place, cli):
    status, _, err = cli("export", "-o", "again.yaml")
    assert status == 0, err
    assert read_exported(place.folder / "again.yaml") == read_exported(place.folder / "best.yaml")


def test_its_sweep_is_resumed(place, cli):
    done = place.run("run", "spec.yaml", "--workers", "1", "--trials", "9")
    assert done.returncode == 0, done.stderr
    assert "9 of 9 trials" in done.stdout
    outcomes = [trial.user_attrs["outcome"] for trial in place.study().trials]
    assert outcomes[:-1] == OUTCOMES
    assert outcomes[-1] in ("completed", "pruned")
    assert cli("storage", "check")[0] == 0


def test_its_exported_configuration_is_trained(place, cli, data_dir):
    status, out, err = cli("train", "best.yaml", "--data-dir", str(data_dir))
    assert status == 0, err
    assert "val_accuracy" in out
    assert all(len(line) <= 80 for line in out.splitlines())
