"""Every sampler and pruner in a sweep: two processes, both killed, and two that resume."""

import itertools
import signal

import optuna
import pytest

from storage import (
    CONFIGURATION,
    OVERRIDES,
    RETRY_OF,
    TARGET,
    ask,
    claim_trial,
    create_study,
    end_trial,
    holding,
    open_storage,
    register_worker,
    study_uid,
    unfinished_outcome,
)
from sweeps.spec.spec import parse_spec
from tests.storage.processes import CONTEXT
from tests.sweeps.worker.sampling import work

#: All combinations of the values: samplers that try each once come to their end.
TRIALS = 10


# The others take most of a second to import, or several.
QUICK = [
    ({"name": "tpe", "startup_trials": 2}, {"name": "asha", "reduction_factor": 2}),
    ({"import": "optuna.samplers:BruteForceSampler"}, {"import": "optuna.pruners:NopPruner"}),
]
SLOW = [
    ({"name": "gp", "startup_trials": 2}, {"name": "hyperband", "reduction_factor": 2}),
    ({"name": "cmaes"}, {"name": "median", "startup_trials": 1}),
    ({"name": "qmc"}, {"name": "percentile", "startup_trials": 1}),
    ({"name": "nsgaii", "population_size": 2}, {"name": "none"}),
    ({"name": "grid"}, {"name": "asha"}),
    ({"name": "random"}, {"name": "wilcoxon"}),
]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [*QUICK, *(pytest.param(*pair, marks=pytest.mark.slow) for pair in SLOW)],
    ids=lambda tree: tree.get("name", "imported"),
)
def test_it_samples_and_prunes_across_processes_and_kills(tmp_path, small, sampler, pruner):
    small.update(sampler=sampler, pruner=pruner, baselines=[], budget={"trials": TRIALS})
    small["search"] = {
        "layer.edge": {"float": [0, 1], "step": 0.25},
        "layer.growth": {"choice": [5, 7]},
    }
    spec = parse_spec(small, "mine.yaml")
    spec.check_sampling()
    url = f"sqlite:///{tmp_path / 'sweeps.db'}"
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def set_up(study):
        study.set_user_attr(TARGET, TRIALS)
        # A baseline of another layer, but where every combination is to be run.
        if sampler.get("name", "grid") != "grid":
            plain = {"layer.growth": 3, "layer.edge": 0.5}
            study.enqueue_trial({}, user_attrs={CONFIGURATION: "plain", OVERRIDES: plain})

    create_study(open_storage(url, create=True), "sampled", "maximize", set_up)
    assert _work(url, small, tmp_path, {"first": 1, "second": 2}) == [-signal.SIGKILL] * 2
    assert _work(url, small, tmp_path, {"third": None, "fourth": None}) == [0, 0]

    trials = optuna.load_study(study_name="sampled", storage=url).trials
    results = [trial for trial in trials if not unfinished_outcome(trial)]
    assert len(results) == TRIALS
    assert all(trial.state.is_finished() for trial in trials)
    assert {trial.user_attrs["worker"] for trial in trials} >= {"first", "second"}
    for trial in trials:
        assert all(spec.search[name].contains(value) for name, value in trial.params.items())
    if sampler.get("name") == "grid":
        assert len({tuple(sorted(trial.params.items())) for trial in results}) == TRIALS
    retries = [trial for trial in trials if RETRY_OF in trial.user_attrs]
    assert len(retries) == 2
    for retry in retries:
        assert retry.params == trials[retry.user_attrs[RETRY_OF]].params


def _work(url, tree, folder, dies_in):
    workers = [
        CONTEXT.Process(target=work, args=(url, tree, folder, name, death))
        for name, death in dies_in.items()
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(100)
    return [worker.exitcode for worker in workers]


def test_workers_share_a_grid_whoever_ends_last(tmp_path, small):
    """Every combination is run once, beside a baseline and where a trial is interrupted."""
    small.update(sampler={"name": "grid"}, baselines=[])
    small["search"] = {"layer.edge": {"choice": [0, 0.5, 1]}, "layer.growth": {"choice": [5, 7]}}
    spec = parse_spec(small, "mine.yaml")
    storage = open_storage(str(tmp_path / "sweeps.db"), create=True)
    made = create_study(
        storage,
        "shared",
        "maximize",
        lambda study: study.enqueue_trial({}, user_attrs={CONFIGURATION: "plain"}),
    )
    uid = study_uid(storage, made)
    workers = []
    for number in range(3):
        study = optuna.load_study(study_name="shared", storage=storage)
        study.sampler = spec.make_sampler(number)
        worker = register_worker(storage, study._study_id, str(number), "cpu")
        workers.append((study, worker.worker_id))

    def start(number):
        study, worker_id = workers[number % 3]
        claim = claim_trial(storage, study._study_id, uid, worker_id)
        return study, claim, ask(storage, study, claim)

    def end(study, claim, trial, outcome="completed"):
        if CONFIGURATION not in trial.user_attrs and outcome == "completed":
            for name, parameter in spec.search.items():
                parameter.suggest(trial, name)
        with holding(claim):
            assert end_trial(storage, study, trial.number, outcome, value=0.5)

    begun = [start(number) for number in range(4)]
    # Before it was given its values.
    end(*begun[3], "interrupted")
    begun = begun[:3] + [start(number) for number in range(3, 7)]
    for each in reversed(begun):
        end(*each)
    found = [tuple(trial.params.values()) for trial in made.trials if trial.params]
    assert sorted(found) == sorted(itertools.product([0, 0.5, 1], [5, 7]))
