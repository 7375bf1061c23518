"""What a worker waits for its next configuration, by sampler and by the trials that have finished.

``make bench-asking``, or ``python -m benchmarks.asking`` in the project's folder. The settings are
those of the preset ``cifar10``, the storage is a SQLite file, and no other worker is at work. The
values are drawn at random: what a sampler computes depends on their number.
"""

import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import optuna

from benchmarks.commands import (
    describe_environment,
    json_option,
    make_console,
    make_table,
    print_tables,
    write_results,
)
from storage import (
    ask,
    claim_trial,
    end_trial,
    holding,
    open_storage,
    open_study,
    register_worker,
    study_uid,
)
from sweeps.spec.samplers import Qmc, Random, Sampler, Tpe
from sweeps.spec.spec import Spec, load_spec
from sweeps.study.study import open_or_create_study, trial_config

COUNTS = (10, 100, 1_000, 10_000)
SAMPLERS: tuple[Sampler, ...] = (Tpe(), Random(name="random"), Qmc(name="qmc"))


def make_spec(sampler: Sampler) -> Spec:
    """Return the spec of a study."""
    spec = load_spec("cifar10")
    budget = spec.budget.model_copy(update={"trials": 1_000_000})
    return spec.model_copy(update={"baselines": [], "budget": budget, "sampler": sampler})


def make_study(url: str, count: int) -> None:
    """Make a study of so many finished trials."""
    spec, numbers = make_spec(SAMPLERS[0]), random.Random(0)
    drawn = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(count):
        trial = drawn.ask()
        trial_config(spec, trial)
        drawn.tell(trial, numbers.random())
    study = open_or_create_study(open_storage(url, create=True), spec, "study", None)
    study.add_trials(drawn.get_trials(deepcopy=False))


def measure(url: str, sampler: Sampler, asks: int) -> list[float]:
    """Ask for some configurations as a worker does that has just started.

    Returns:
        The seconds of CPU time from claiming a trial to having its configuration. The first
        includes reading the study.
    """
    storage, spec = open_storage(url), make_spec(sampler)
    study = open_study(storage)
    uid = study_uid(storage, study)
    worker = register_worker(storage, study._study_id, "worker", "cpu")
    study.sampler = spec.make_sampler(worker.number)
    seconds = []
    for _ in range(asks):
        start = time.process_time()
        claim = claim_trial(storage, study._study_id, uid, worker.worker_id)
        assert claim is not None
        trial = ask(storage, study, claim)
        with holding(claim):
            trial_config(spec, trial)
            seconds.append(time.process_time() - start)
            end_trial(storage, study, trial.number, "completed", value=[0.5])
    return seconds


@click.command()
@click.option("--asks", default=10, show_default=True, type=click.IntRange(2))
@click.option("--quick", is_flag=True, help="Only check that it runs: studies of 10 trials.")
@json_option
def main(asks: int, quick: bool, json_path: Path | None) -> None:
    """Measure what the next configuration costs in studies of some sizes."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    results: list[dict[str, Any]] = []
    for count in COUNTS[:1] if quick else COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{folder}/study.db"
            make_study(url, count)
            for sampler in SAMPLERS:
                seconds = measure(url, sampler, asks)
                results.append({"sampler": sampler.name, "finished": count, "seconds": seconds})
    table = make_table(f"CPU time of the next configuration; median of {asks - 1}")
    for column in ("sampler", "finished trials", "first, ms", "then, ms"):
        table.add_column(column, justify="left" if column == "sampler" else "right")
    for result in results:
        first, *others = (1000 * second for second in result["seconds"])
        cells = f"{result['finished']:,}", f"{first:.0f}", f"{statistics.median(others):.0f}"
        table.add_row(result["sampler"], *cells)
    print_tables(make_console(), table)
    if json_path is not None:
        write_results(json_path, {"environment": describe_environment(), "results": results})


if __name__ == "__main__":
    main()
