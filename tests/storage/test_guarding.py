"""A trial that another process ends while it is written to."""

import threading

import pytest

from storage import RETRY_OF, end_trial, open_storage, open_study


@pytest.mark.parametrize("change", ["parameter", "attribute", "value"])
def test_what_is_written_is_either_in_time_or_not_at_all(url, storage, study, monkeypatch, change):
    """As by a worker that is suspended between its check of the trial and its write."""
    trial = study.ask()
    trial.suggest_float("x", 0, 1)

    def end() -> None:
        another = open_storage(url)
        end_trial(another, open_study(another), 0, "lost")
        another.engine.dispose()

    ending = threading.Thread(target=end)
    look = storage.check_trial_is_updatable

    def look_and_be_slow(*arguments):
        look(*arguments)
        if not ending.is_alive():
            ending.start()
            ending.join(timeout=0.5)

    monkeypatch.setattr(storage, "check_trial_is_updatable", look_and_be_slow)
    if change == "parameter":
        trial.suggest_float("y", 0, 1)
    elif change == "attribute":
        trial.set_user_attr("y", 1)
    else:
        trial.report(0.5, 1)
    assert ending.is_alive(), "it waits for what was begun before"
    ending.join(timeout=60)
    lost, retry = study.trials
    assert retry.user_attrs[RETRY_OF] == 0
    assert retry.system_attrs["fixed_params"] == lost.params
