"""Trials are read as Optuna reads them, only with less work."""

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState, create_trial
from sqlalchemy import event

from storage import (
    RETRY_OF,
    ask,
    end_trial,
    holding,
    open_storage,
    quick_reading,
    register_worker,
)
from storage.transactions import transaction
from tests.storage.claiming import at_work, claim_one
from tests.storage.rich_study import make_rich_study


@pytest.fixture
def optunas(storage) -> RDBStorage:
    """Optuna's own storage on the same database."""
    url = storage.engine.url.render_as_string(hide_password=False)
    plain = RDBStorage(url)
    yield plain
    plain.engine.dispose()


def told(trials):
    """All that is known of trials; as text, in which NaN is like NaN."""
    return [
        {
            # Optuna reads attributes and values in any order, and parameters in theirs.
            name: repr(sorted(value.items()) if "attrs" in name or "inter" in name else value)
            for name, value in vars(trial).items()
        }
        for trial in trials
    ]


@pytest.fixture
def rich(storage) -> optuna.Study:
    make_rich_study(storage, "another")
    return make_rich_study(storage)


class TestFeature:
    def test_every_trial_is_what_optuna_reads(self, storage, optunas, rich):
        trials = storage.get_all_trials(rich._study_id)
        assert {trial.state for trial in trials} == set(TrialState)
        assert told(trials) == told(optunas.get_all_trials(rich._study_id))
        one_by_one = [storage.get_trial(trial._trial_id) for trial in trials]
        assert told(one_by_one) == told(trials)

    @pytest.mark.parametrize("states", [[], [TrialState.WAITING], list(TrialState)])
    def test_states(self, storage, optunas, rich, states):
        trials = storage.get_all_trials(rich._study_id, states=states)
        assert told(trials) == told(optunas.get_all_trials(rich._study_id, states=states))

    @pytest.mark.parametrize("most_named", [1, 3, 1000])
    def test_what_has_not_ended_and_what_is_new(
        self, storage, optunas, rich, monkeypatch, most_named
    ):
        monkeypatch.setattr(quick_reading, "_MOST_NAMED", most_named)
        ids = [trial._trial_id for trial in rich.trials]
        # The last is newer than all, and the first of the other study.
        arguments = (rich._study_id, None, {*ids[:4:2], ids[-1], 1}, ids[4])
        trials = storage._get_trials(*arguments)
        assert [trial._trial_id for trial in trials] == [ids[0], ids[2], *ids[5:]]
        assert told(trials) == told(optunas._get_trials(*arguments))

    def test_inside_a_transaction_it_sees_what_was_written(self, storage, rich):
        with transaction(storage.engine):
            trial = storage.create_new_trial(rich._study_id)
            storage.set_trial_user_attr(trial, "key", 1)
            assert storage.get_trial(trial).user_attrs == {"key": 1}

    def test_more_trials_than_a_statement_names(self, storage, study):
        study.add_trials(create_trial(value=number) for number in range(1005))
        values = [trial.value for trial in storage.get_all_trials(study._study_id)]
        assert values == list(range(1005))

    def test_a_trial_that_ends_meanwhile_is_seen_with_the_one_that_stands_in_for_it(
        self, storage, url, study
    ):
        worker = register_worker(storage, study._study_id, "worker", "cpu").worker_id
        claim = claim_one(storage, study, worker)
        interrupted = ask(storage, study, claim).number
        with at_work(storage, study, worker) as completed:
            end_trial(storage, study, completed.number, "completed", value=1.0)
        onlooker = open_storage(url)
        seen = optuna.load_study(study_name=study.study_name, storage=onlooker)
        assert [trial.number for trial in seen.trials] == [0, 1]
        statements = []

        def between_two(connection, cursor, statement, *_):
            if statement.startswith("SELECT trials."):
                statements.append(statement)
                if len(statements) == 1:
                    with holding(claim):
                        assert end_trial(storage, study, interrupted, "interrupted")

        event.listen(onlooker.engine, "after_cursor_execute", between_two)
        trials = seen.get_trials(deepcopy=False)
        assert len(statements) == 2
        unfinished = [trial.number for trial in trials if not trial.state.is_finished()]
        assert unfinished == [interrupted, 2]
        assert trials[2].user_attrs[RETRY_OF] == interrupted
        onlooker.engine.dispose()


class TestExceptions:
    def test_no_such_trial(self, storage):
        with pytest.raises(KeyError, match="does not exist"):
            storage.get_trial(1)

    def test_no_such_study(self, storage):
        with pytest.raises(KeyError, match="does not exist"):
            storage.get_all_trials(1)
