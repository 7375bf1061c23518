"""Trials are read as Optuna reads them, only faster, and as they are at one moment."""

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy import event, select

from storage import RETRY_OF, ask, end_trial, holding, open_storage, register_worker, transaction
from storage.schema import OPTUNA_TABLES
from tests.storage.claiming import at_work, claim_one
from tests.storage.rich_study import make_rich_study


@pytest.fixture
def optunas(storage) -> RDBStorage:
    """Optuna's own storage on the same database."""
    plain = RDBStorage(storage.engine.url.render_as_string(hide_password=False))
    yield plain
    plain.engine.dispose()


def text(trials):
    """All that is known of trials, as text, in which NaN equals NaN."""
    return [
        {
            # Optuna reads attributes and values in any order.
            name: repr(sorted(value.items()) if "attrs" in name or "inter" in name else value)
            for name, value in vars(trial).items()
        }
        for trial in trials
    ]


def test_every_trial_is_what_optuna_reads(storage, optunas):
    make_rich_study(storage, "another")
    study = make_rich_study(storage)
    trials = storage.get_all_trials(study._study_id)
    assert {trial.state for trial in trials} == set(TrialState)
    assert text(trials) == text(optunas.get_all_trials(study._study_id))
    assert text(storage.get_trial(trial._trial_id) for trial in trials) == text(trials)
    for states in ([], [TrialState.WAITING], list(TrialState)):
        some = storage.get_all_trials(study._study_id, states=states)
        assert text(some) == text(optunas.get_all_trials(study._study_id, states=states))
    ids = [trial._trial_id for trial in trials]
    # The last is newer than all, and the first of the other study.
    arguments = (study._study_id, None, {*ids[:4:2], ids[-1], 1}, ids[4])
    some = storage._get_trials(*arguments)
    assert [trial._trial_id for trial in some] == [ids[0], ids[2], *ids[5:]]
    assert text(some) == text(optunas._get_trials(*arguments))


def test_a_trial_that_ends_meanwhile_is_not_seen_without_its_retry(storage, url, study):
    """Otherwise its checkpoint would be removed."""
    worker = register_worker(storage, study._study_id, "worker", "cpu").worker_id
    claim = claim_one(storage, study, worker)
    interrupted = ask(storage, study, claim).number
    with at_work(storage, study, worker) as completed:
        end_trial(storage, study, completed.number, "completed", value=1.0)
    another = open_storage(url)
    seen = optuna.load_study(study_name=study.study_name, storage=another)
    assert [trial.number for trial in seen.trials] == [0, 1]
    statements = []

    def between_two(connection, cursor, statement, *_):
        if "FROM studies" in statement or "FROM trials" in statement:
            statements.append(statement)
            if len(statements) == 1:
                with holding(claim):
                    assert end_trial(storage, study, interrupted, "interrupted")

    event.listen(another.engine, "after_cursor_execute", between_two)
    assert [trial.state.name for trial in seen.get_trials()] == ["RUNNING", "COMPLETE"]
    assert len(statements) > 1
    trials = seen.get_trials()
    assert [trial.state.name for trial in trials] == ["FAIL", "COMPLETE", "WAITING"]
    assert trials[2].user_attrs[RETRY_OF] == interrupted
    another.engine.dispose()


def test_inside_a_transaction_what_was_written_is_seen(storage, study):
    with transaction(storage.engine):
        trial = storage.create_new_trial(study._study_id)
        storage.set_trial_user_attr(trial, "key", 1)
        assert storage.get_trial(trial).user_attrs == {"key": 1}


def test_more_trials_than_a_statement_names(storage, study):
    tables = [OPTUNA_TABLES.tables[name] for name in ("trials", "trial_user_attributes")]
    count = 1005
    with transaction(storage.engine) as connection:
        rows = {"study_id": study._study_id, "state": "COMPLETE"}
        connection.execute(tables[0].insert(), [{**rows, "number": n} for n in range(count)])
        ids = connection.execute(select(tables[0].c.trial_id).order_by("trial_id")).scalars().all()
        rows = [{"trial_id": id, "key": "n", "value_json": str(n)} for n, id in enumerate(ids)]
        connection.execute(tables[1].insert(), rows)
    trials = storage.get_all_trials(study._study_id)
    assert [trial.user_attrs["n"] for trial in trials] == list(range(count))
