"""What must be true of a study, whatever was done to its workers."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import select

from storage import (
    CONFIGURATION,
    OUTCOME,
    REASON,
    RETRY_OF,
    TARGET,
    HardenedStorage,
    check_contents,
    open_storage,
    open_study,
    parse_url,
    read_epochs,
    unfinished_outcome,
)
from storage.schema import LOSSES, claims_table, workers_table
from tests.chaos.journal import read_journal
from tests.chaos.loop import (
    expected_values,
    has_accident,
    is_hopelessly_large,
    is_too_large,
)
from tests.chaos.settings import BASELINES, EPOCHS, ChaosSettings
from tests.sweeps.waiting import is_gone, wait_for


@dataclass(frozen=True)
class Story:
    """What happened on the way.

    Attributes:
        signals: sent to living workers, by name.
        outcomes: of trials.
        resumed: how often a trial was resumed from a checkpoint.
        taken: how often a worker found that its trial had been taken from it.
        given_up: trials that failed since their workers died too often.
        starts: of workers.
        errors: of the workers' databases.
    """

    signals: Counter[str]
    outcomes: Counter[str]
    resumed: int
    taken: int
    given_up: int
    starts: int
    errors: list[str]

    @property
    def kills(self) -> int:
        return self.signals["SIGKILL"] + self.signals["SIGTERM"]

    def __str__(self) -> str:
        return (
            f"{self.signals['SIGKILL']} SIGKILL, {self.signals['SIGTERM']} SIGTERM, "
            f"{self.signals['SIGSTOP']} SIGSTOP; {self.starts} worker processes; trials: "
            + ", ".join(f"{count} {name}" for name, count in sorted(self.outcomes.items()))
            + f"; {self.given_up} given up after their losses, {self.resumed} resumed from a "
            f"checkpoint, {self.taken} times a worker found its trial taken; "
            f"{len(self.errors)} database errors"
        )


def tell_story(settings: ChaosSettings) -> Story:
    """Read what happened."""
    journal = read_journal(settings.journal)
    events = Counter(line["event"] for line in journal)
    storage = open_storage(settings.url)
    trials = open_study(storage).get_trials(deepcopy=False)
    storage.engine.dispose()
    return Story(
        signals=Counter(line["signal"] for line in journal if line["event"] == "signal"),
        outcomes=Counter(trial.user_attrs.get(OUTCOME, trial.state.name) for trial in trials),
        resumed=sum(line["event"] == "resume" and line["epochs"] > 0 for line in journal),
        taken=events["taken"],
        given_up=sum("times)" in trial.user_attrs.get(REASON, "") for trial in trials),
        starts=events["start"],
        errors=[line["text"] for line in journal if line["event"] == "error"],
    )


def check_everything(settings: ChaosSettings) -> None:
    """Check a study whose run has ended."""
    check_processes(settings)
    storage = open_storage(settings.url)
    study = open_study(storage)
    trials = study.get_trials(deepcopy=False)
    check_budget(storage, study, trials)
    check_retries(settings, trials)
    check_checkpoints(settings, trials)
    for trial in trials:
        check_trial(storage, trial)
    left = list(settings.checkpoints.rglob("*.pt*"))
    assert not left, "checkpoints that nobody needs"
    storage.engine.dispose()
    check_database(settings.url)


def check_processes(settings: ChaosSettings) -> None:
    """No worker lives; none imported torch; none ran what another ran; none broke."""
    journal = read_journal(settings.journal)
    workers = [line["pid"] for line in journal if line["event"] == "start"]
    wait_for(lambda: all(is_gone(pid) for pid in workers), "the workers' end", seconds=20)
    trials = [line for line in journal if line["event"] == "trial"]
    assert not any(line["torch"] for line in trials)
    begun = Counter(line["trial"] for line in trials)
    assert max(begun.values()) == 1, "a trial that two workers were at"
    log = settings.log.read_text()
    assert "Traceback" not in log, log[-4000:]


def check_budget(storage: HardenedStorage, study: optuna.Study, trials: list[FrozenTrial]) -> None:
    """Exactly the target's number of results, a claim for each, and nothing left over."""
    assert [trial.number for trial in trials] == list(range(len(trials)))
    states = Counter(trial.state for trial in trials)
    assert states[TrialState.RUNNING] == 0
    assert states[TrialState.WAITING] == 0
    results = {t._trial_id for t in trials if t.state.is_finished() and not unfinished_outcome(t)}
    assert len(results) == study.user_attrs[TARGET]
    with storage.engine.connect() as connection:
        claimed = list(connection.execute(select(claims_table.c.trial_id)).scalars())
        at_work = connection.execute(
            select(workers_table.c.name).where(workers_table.c.ended.is_(None))
        ).all()
    assert None not in claimed
    assert sorted(claimed) == sorted(results)
    assert not at_work, "workers that seem to be at work"


def check_retries(settings: ChaosSettings, trials: list[FrozenTrial]) -> None:
    """Each unfinished trial has one retry, with its parameters; no other has."""
    by_number = {trial.number: trial for trial in trials}
    retried = [t.user_attrs[RETRY_OF] for t in trials if RETRY_OF in t.user_attrs]
    assert sorted(retried) == sorted(t.number for t in trials if unfinished_outcome(t))
    for trial in trials:
        losses = trial.user_attrs.get(LOSSES, 0)
        if RETRY_OF in trial.user_attrs:
            before = by_number[trial.user_attrs[RETRY_OF]]
            lost = before.user_attrs[OUTCOME] == "lost"
            assert losses == before.user_attrs.get(LOSSES, 0) + lost
            fixed = before.system_attrs.get("fixed_params", {}) | before.params
            assert trial.system_attrs["fixed_params"] == fixed
            assert trial.user_attrs.get(CONFIGURATION) == before.user_attrs.get(CONFIGURATION)
        # As far as it came.
        fixed = trial.system_attrs.get("fixed_params", {})
        assert all(fixed.get(name, value) == value for name, value in trial.params.items())
        assert losses <= settings.retries
        if "times)" in trial.user_attrs.get(REASON, ""):
            assert losses == settings.retries
    results = [trial for trial in trials if not unfinished_outcome(trial)]
    queued = Counter(trial.user_attrs.get(CONFIGURATION) for trial in results)
    assert {queued[f"baseline {index}"] for index in range(BASELINES)} == {1}


def check_checkpoints(settings: ChaosSettings, trials: list[FrozenTrial]) -> None:
    """A retry resumes from the last checkpoint that was written, or a later one."""
    before = {trial.number: trial.user_attrs.get(RETRY_OF) for trial in trials}
    journal = read_journal(settings.journal)
    kept = defaultdict(list)
    for line in journal:
        if line["event"] == "kept":
            kept[line["trial"]].append(line)
    for line in journal:
        if line["event"] != "resume":
            continue
        former, epochs = before[line["trial"]], []
        while former is not None and not epochs:
            # The journal has each after it was written.
            epochs = [each["epochs"] for each in kept[former] if each["time"] < line["read"]]
            former = before[former]
        least = epochs[-1] if epochs else 0
        assert line["epochs"] >= least, f"trial {line['trial']} lost epochs that were kept"


def check_trial(storage: HardenedStorage, trial: FrozenTrial) -> None:
    """Its values are those of an undisturbed run, and its records are complete."""
    records = read_epochs(storage, trial._trial_id)
    values = trial.intermediate_values
    assert [record.epoch for record in records] == sorted(values)
    assert sorted(values) == list(range(1, len(values) + 1))
    assert {record.epoch: record.metrics["score"] for record in records} == values
    assert trial.user_attrs.get("reported", 0) == len(values)
    if not values and trial.user_attrs[OUTCOME] != "completed":
        check_failure(trial)
        return
    expected = expected_values(params_of(trial))
    assert [values[epoch] for epoch in sorted(values)] == expected[: len(values)]
    outcome = trial.user_attrs[OUTCOME]
    if outcome == "completed":
        assert trial.state is TrialState.COMPLETE
        assert len(values) == EPOCHS
        assert trial.value == expected[-1]
    elif outcome == "pruned":
        assert trial.state is TrialState.PRUNED
        assert CONFIGURATION not in trial.user_attrs
        assert trial.value == values[len(values)]
    elif outcome == "out_of_memory":
        assert is_too_large(params_of(trial))
        assert len(values) == 1
    else:
        check_failure(trial)


def params_of(trial: FrozenTrial) -> dict[str, Any]:
    """A trial's parameters by the names of the loop's options."""
    return {name.removeprefix("options."): value for name, value in trial.params.items()}


def check_failure(trial: FrozenTrial) -> None:
    """It was lost, interrupted, or failed of what its parameters ask for or of its losses."""
    assert trial.state is TrialState.FAIL
    outcome, reason = trial.user_attrs[OUTCOME], trial.user_attrs[REASON]
    if outcome == "failed" and "times)" not in reason:
        params = params_of(trial)
        accident = has_accident(params) and reason.startswith("Accident")
        assert accident or (is_hopelessly_large(params) and reason == "none left")
    else:
        assert outcome in ("lost", "interrupted", "failed")


def check_database(url: str) -> None:
    """The database is whole, and `sweeps storage check` has nothing to say of it."""
    findings = check_contents(parse_url(url))
    assert not [finding for finding in findings if finding.is_wrong]
