"""A comparison from its spec to its verdicts: explored, tuned and confirmed, each by sweeps."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FixedTrial

from storage import (
    CONFIGURATION,
    DEFAULT_URL,
    OVERRIDES,
    TARGET,
    HardenedStorage,
    batch,
    check_storage,
    open_storage,
    open_study,
    parse_url,
    queue_trial,
    study_names,
)
from sweeps.data import Dataset
from sweeps.engines.forkserver import ForkServer
from sweeps.errors import SweepsError
from sweeps.reporting import Reporter
from sweeps.runner.prepare import check_runs, open_images
from sweeps.runner.stages import Stages, TimeIsUp
from sweeps.runner.sweep import reported, run_sweep
from sweeps.spec.comparison import ComparisonSpec
from sweeps.spec.search import setting_of
from sweeps.spec.spec import Baseline, Spec, check_study_name
from sweeps.study.comparison import Choice, Comparison
from sweeps.study.comparison_reading import read_comparison, refuse_other_comparison
from sweeps.study.progress import best_first, count_finished
from sweeps.study.stages import (
    CHOSEN,
    COMPARISON,
    EQUAL_TIME,
    confirm_name,
    equal_time_name,
    explore_name,
    tune_name,
)
from sweeps.study.study import (
    check_study,
    open_or_create_study,
    split_values,
    study_name,
    trial_config,
)


def run_comparison(
    spec: ComparisonSpec,
    *,
    storage: str = DEFAULT_URL,
    study: str | None = None,
    data_dir: Path | str = "data",
    reporter: Reporter | None = None,
    **settings: Any,
) -> Comparison:
    """Run a comparison, or resume it, until it is settled, or its seeds or time are spent.

    The same call resumes it: what a stage has done is kept. More seeds may be given later: the
    error holds for all looks together.

    Args:
        spec: the comparison, from :func:`sweeps.spec.comparison.load_comparison`.
        storage: where results go: a database URL, or the path of a SQLite file.
        study: its name; ``None`` for the spec's and the dataset's. Its studies are called after it.
        data_dir: the folder of the datasets.
        reporter: shows what happens, as for :func:`sweeps.run_sweep`.
        settings: others of :func:`sweeps.run_sweep`, which runs every stage.

    Returns:
        Where it stands.

    Raises:
        SweepsError, storage.StorageError: something does not fit, and nothing was started; or a
            stage failed.
        KeyboardInterrupt, Stopped: as :func:`sweeps.run_sweep`.
    """
    data_dir = Path(data_dir).absolute()
    with ExitStack() as stack:
        reporter = stack.enter_context(reported(reporter, study))
        spec, dataset = open_images(spec, data_dir)
        name = study or study_name(spec)
        for arm in spec.arms:
            check_study_name(explore_name(name, arm), "--study" if study else "name")
        url = parse_url(storage)
        check_storage(url)
        _check(spec, dataset)
        opened = open_storage(url, create=True)
        stack.callback(opened.engine.dispose)
        _begin(opened, spec, name, dataset)
        if settings.get("engine", "local") == "local":
            # One for all stages: to import torch takes seconds.
            server = stack.enter_context(closing(ForkServer()))
            own = settings.get("engine_settings") or {}
            settings["engine_settings"] = {**own, "server": server}

        def run(stage: Spec, stage_name: str) -> None:
            run_sweep(
                stage,
                storage=storage,
                study=stage_name,
                data_dir=data_dir,
                reporter=reporter.part(),
                **settings,
            )

        stages = Stages(opened, spec, name, reporter, run)
        try:
            _run_stages(opened, spec, name, dataset, stages.run)
            reporter.ended(name, "finished")
        except TimeIsUp:
            reporter.say(f"{name}: the time is up; run it again to resume")
            reporter.ended(name, "time_is_up")
        return read_comparison(opened, name)


def _check(spec: ComparisonSpec, dataset: Dataset | None) -> None:
    """Refuse before anything runs what would fail later."""
    for arm in spec.arms:
        check_runs(spec.tune_spec(arm), dataset)
    check_runs(spec.confirm_spec(), None)
    if dataset is not None and spec.objective is None and not len(dataset.test):
        raise SweepsError(f"{spec.name}: {dataset.name} has no test part to confirm on")


def _begin(
    storage: HardenedStorage, spec: ComparisonSpec, name: str, dataset: Dataset | None
) -> None:
    """Make the study that holds the comparison, or check the one that is there.

    Raises:
        SweepsError: there is one that was begun with another spec or other images, or a study of
            the comparison's name.
    """
    tree = spec.model_dump(mode="json")
    confirm = spec.confirm_spec()
    home_name = confirm_name(name)
    known = study_names(storage)
    if home_name in known:
        refuse_other_comparison(name, open_study(storage, home_name), spec)
    elif name in known:
        raise SweepsError(
            f"{name}: {storage.location} holds a study of this name; give the comparison another "
            "with --study"
        )
    home = open_or_create_study(storage, confirm, home_name, dataset)

    def write() -> None:
        # Another budget takes the place of the former one.
        if home.user_attrs.get(COMPARISON) != tree:
            home.set_user_attr(COMPARISON, tree)
        # Nobody else may start trials that are not queued yet.
        if CHOSEN not in home.user_attrs:
            home.set_user_attr(TARGET, 0)

    batch(storage, home._study_id, write)


def _run_stages(
    storage: HardenedStorage,
    spec: ComparisonSpec,
    name: str,
    dataset: Dataset | None,
    run: Callable[[Spec, str], None],
) -> None:
    home = open_study(storage, confirm_name(name))
    if CHOSEN not in home.user_attrs:
        for arm in spec.arms:
            if spec.budget.explore:
                run(spec.explore_spec(arm), explore_name(name, arm))
        for arm in spec.arms:
            run(spec.tune_spec(arm), tune_name(name, arm))
        chosen = {arm: vars(_choose(storage, spec, name, arm)) for arm in spec.arms}
        batch(storage, home._study_id, lambda: home.set_user_attr(CHOSEN, chosen))
    choices = {arm: Choice(**tree) for arm, tree in home.user_attrs[CHOSEN].items()}

    def finish(study: str, seeds: Mapping[str, int], epochs: Mapping[str, int]) -> None:
        """Queue the runs that are missing, and run all that are queued."""
        queued = _queue(storage, spec, open_study(storage, study), choices, seeds, epochs)
        if queued:
            run(spec.confirm_spec(queued), study)

    seeds: dict[str, int] = {}
    while (wanted := read_comparison(storage, name).wanted_seeds()) != seeds:
        seeds = wanted
        finish(confirm_name(name), seeds, {})
    if spec.equal_time:
        epochs = _equal_time_epochs(storage, home, name)
        open_or_create_study(storage, spec.confirm_spec(), equal_time_name(name), dataset)
        # The runs of arms that train as long as before are there already.
        as_long = [arm for arm in spec.arms if epochs[arm] == spec.training.epochs]
        seeds = {arm: 0 if arm in as_long else seeds[arm] for arm in spec.arms}
        finish(equal_time_name(name), seeds, epochs)


def _equal_time_epochs(storage: HardenedStorage, home: optuna.Study, name: str) -> dict[str, int]:
    """Work out, once, how many epochs each arm has for the seconds of the reference's.

    Without a reference, those of the arm whose epochs are shortest.

    Raises:
        SweepsError: an arm's epochs were never timed: all its runs died.
    """
    if EQUAL_TIME not in home.user_attrs:
        comparison = read_comparison(storage, name)
        spec = comparison.spec
        seconds = {arm: result.epoch_seconds for arm, result in comparison.arms.items()}
        known = {arm: each for arm, each in seconds.items() if each}
        if untimed := [arm for arm in spec.arms if arm not in known]:
            raise SweepsError(
                f"{name}: no run of {', '.join(untimed)} is complete, so there is no equal time; "
                "leave out equal_time"
            )
        one = min(known.values()) if spec.reference is None else known[spec.reference]
        epochs = {
            arm: max(1, round(spec.training.epochs * one / each)) for arm, each in known.items()
        }
        batch(storage, home._study_id, lambda: home.set_user_attr(EQUAL_TIME, epochs))
    found: dict[str, int] = home.user_attrs[EQUAL_TIME]
    return found


def _choose(storage: HardenedStorage, spec: ComparisonSpec, name: str, arm: str) -> Choice:
    """Return the settings of an arm's best trial, which had as many as every other arm.

    Raises:
        SweepsError: it had more, or none of its trials is complete.
    """
    stages = [(tune_name(name, arm), spec.tune_spec(arm), spec.budget.tune)]
    if spec.budget.explore:
        stages.insert(0, (explore_name(name, arm), spec.explore_spec(arm), spec.budget.explore))
    best: tuple[float, Choice] | None = None
    for stage, stage_spec, wanted in stages:
        study = open_study(storage, stage)
        check_study(study, stage_spec, None)
        trials = study.get_trials(deepcopy=False)
        if (had := count_finished(trials)) != wanted:
            raise SweepsError(
                f"{study.study_name}: has {had} trials, and other arms have {wanted}: arms tuned "
                "with unequal budgets are not compared; begin another with --study NAME"
            )
        for trial in best_first(trials, stage_spec.directions)[:1]:
            settings = trial_config(stage_spec, FixedTrial(trial.params)).settings()  # type: ignore[arg-type]
            names = [*spec.arms[arm].set, *map(setting_of, stage_spec.search)]
            values = {name: settings[name] for name in names if name in settings}
            value = trial.values[0]
            loss = -value if stage_spec.directions[0] == "maximize" else value
            if best is None or loss < best[0]:
                best = loss, Choice(study.study_name, trial.number, value, values)
    if best is None:
        raise SweepsError(
            f"{name}: none of the trials of arm {arm} is complete, so there is nothing to confirm; "
            f"see {tune_name(name, arm)} in `sweeps dashboard`"
        )
    return best[1]


def _queue(
    storage: HardenedStorage,
    spec: ComparisonSpec,
    study: optuna.Study,
    choices: Mapping[str, Choice],
    seeds: Mapping[str, int],
    epochs: Mapping[str, int],
) -> int:
    """Queue the runs that a study lacks, in one transaction with its budget.

    Args:
        storage: where it is.
        spec: the comparison.
        study: its study of confirming runs, or of those at equal time.
        choices: the settings of each arm.
        seeds: how many each arm shall have.
        epochs: how long each arm trains, where it does not train as long as the spec says.

    Returns:
        How many runs the study then has, those that ended among them.
    """
    stage = spec.confirm_spec()
    total = 0

    def write() -> None:
        nonlocal total
        known = {
            (trial.user_attrs.get(CONFIGURATION), trial.user_attrs.get(OVERRIDES, {}).get("seed"))
            for trial in storage.get_all_trials(study._study_id, deepcopy=False)
        }
        missing = [pair for pair in _seeds(spec, seeds) if pair not in known]
        for arm, seed in missing:
            baseline = Baseline(name=arm, set=choices[arm].values)
            params, overrides = split_values(stage, baseline)
            overrides["seed"] = seed
            if arm in epochs:
                overrides["training.epochs"] = epochs[arm]
            attributes = {CONFIGURATION: arm, OVERRIDES: overrides}
            queue_trial(storage, study._study_id, params, attributes)
        total = len(known) + len(missing)
        study.set_user_attr(TARGET, total)

    batch(storage, study._study_id, write)
    return total


def _seeds(spec: ComparisonSpec, seeds: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """The arms' runs, those of one seed together: arms share what the machine does meanwhile."""
    for run in range(max(seeds.values())):
        for arm, count in seeds.items():
            if run < count:
                yield arm, spec.seed_of(run)
