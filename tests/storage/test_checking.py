"""The check finds what is wrong, and reports nothing else."""

import random
import sqlite3

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy import delete

from storage import (
    check_contents,
    count_claims,
    parse_url,
    repair_contents,
)
from storage.schema import claims_table, metrics_table
from tests.storage.processes import CONTEXT, claim_until_spent, die_in_the_middle, run_and_wait
from tests.sweeps.waiting import wait_for


def wrong(url):
    return [(f.place, f.text, f.remedy) for f in check_contents(parse_url(url)) if f.is_wrong]


def trial_ids(study):
    return {trial.number: trial._trial_id for trial in study.trials}


def execute(storage, statement):
    with storage.engine.begin() as connection:
        return connection.execute(statement)


def test_a_sound_storage_is_called_so(storage, url, rich):
    findings = check_contents(parse_url(url))
    assert [f.text for f in findings if f.is_wrong] == []
    assert findings[-1].text == (
        "8 trials (3 completed, 1 diverged, 1 failed, 1 interrupted, 1 running, 1 waiting), "
        "workers at work: 1"
    )
    assert repair_contents(storage) == []


def test_nothing_is_called_wrong_while_workers_come_and_go(storage, url, study):

    def start(most):
        process = CONTEXT.Process(target=claim_until_spent, args=(url, most))
        process.start()
        return process

    workers = [start(None), start(40)]
    try:
        for _ in range(8):
            before = count_claims(storage, study._study_id)
            assert wrong(url) == []
            wait_for(
                lambda: count_claims(storage, study._study_id) > before,  # noqa: B023
                "the workers go on",
            )
    finally:
        for worker in workers:
            worker.kill()
            worker.join()


@pytest.mark.parametrize("after", ["claim", "ask"])
def test_what_a_killed_worker_left_is_found_and_repaired(storage, url, study, after):
    assert run_and_wait(die_in_the_middle, url, after) == -9
    [(place, said, remedy)] = wrong(url)
    assert place == "study study"
    assert ("trial 0 runs, but its worker died: doomed (process" in said) == (after == "ask")
    assert "--repair" in remedy
    assert repair_contents(storage) == (["study study: trial 0 was lost"] if after == "ask" else [])
    assert wrong(url) == []
    assert count_claims(storage, study._study_id) == 0


def _claim_of_nothing(storage, study):
    values = {"study_id": study._study_id, "worker_id": "x", "trial_id": 10**6}
    execute(storage, claims_table.insert().values(**values))
    return "held by a trial that does not exist"


def _claim_of_a_queued_trial(storage, study):
    waiting = next(t for t in study.trials if t.state is TrialState.WAITING)
    values = {"study_id": study._study_id, "worker_id": "x", "trial_id": waiting._trial_id}
    execute(storage, claims_table.insert().values(**values))
    return f"held by trial {waiting.number}, which has no result and does not run"


def _no_claim(storage, study):
    execute(storage, delete(claims_table).where(claims_table.c.trial_id == trial_ids(study)[0]))
    return "the budget does not count trials 0"


def _rows_of_nothing(storage, study):
    execute(storage, metrics_table.insert().values(trial_id=10**6, epoch=1, name="a", value=0.5))
    return "1 records of epochs of what was deleted"


@pytest.mark.parametrize(
    "spoil",
    [_claim_of_nothing, _claim_of_a_queued_trial, _no_claim, _rows_of_nothing],
)
def test_what_does_not_fit_is_found_and_repaired(storage, url, rich, spoil):
    claims = count_claims(storage, rich._study_id)
    expected = spoil(storage, rich)
    [(_, said, remedy)] = wrong(url)
    assert expected in said
    assert "--repair" in remedy
    assert len(repair_contents(storage)) == 1
    assert wrong(url) == []
    assert count_claims(storage, rich._study_id) == claims


def test_a_study_of_another_program_is_not_judged_nor_changed(storage, url):
    other = optuna.create_study(storage=storage, study_name="theirs")
    trial = other.ask()
    trial.report(0.5, 1)
    other.tell(trial, 0.5)
    other.ask()
    assert wrong(url) == []
    assert repair_contents(storage) == []
    assert other.trials[-1].state is TrialState.RUNNING


def test_what_another_program_left_of_a_deleted_study_is_repaired(storage, url, rich):
    RDBStorage.delete_study(storage, rich._study_id)
    said = [said for _, said, _ in wrong(url)]
    assert len(said) == 3
    assert len(repair_contents(storage)) == 3
    assert wrong(url) == []


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_damaged_file_is_found(url, rich, storage, tmp_path):
    storage.engine.dispose()
    path = tmp_path / "sweeps.db"
    with sqlite3.connect(path) as connection:
        [root] = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'ix_trials_study_id'"
        ).fetchone()
    connection.close()
    content = bytearray(path.read_bytes())
    content[(root - 1) * 4096 + 8 : root * 4096] = random.Random(0).randbytes(4088)
    path.write_bytes(content)
    [(place, said, remedy), *_] = wrong(url)
    assert place == "file"
    assert "is damaged" in said
    assert "restore a backup" in remedy
    assert path.read_bytes() == content
