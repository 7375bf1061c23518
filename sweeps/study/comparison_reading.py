"""Read a comparison from the studies that it is made of."""

import statistics
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from storage import (
    CONFIGURATION,
    DEFAULT_URL,
    OVERRIDES,
    REASON,
    HardenedStorage,
    open_storage,
    open_study,
    study_names,
    unfinished_outcome,
)
from sweeps.errors import SweepsError
from sweeps.spec.comparison import ComparisonSpec
from sweeps.spec.validation import validate
from sweeps.study import attributes
from sweeps.study.comparison import ArmResult, Choice, Comparison, Earlier, Pair, Run
from sweeps.study.progress import outcome_of
from sweeps.study.stages import (
    CHOSEN,
    COMPARISON,
    EQUAL_TIME,
    confirm_name,
    equal_time_name,
    explore_name,
    find_comparison,
    stages,
    tune_name,
)
from sweeps.study.study import differences
from sweeps.verdicts import confidence_sequence, decide, probability_better

#: What may change after results were seen; also within ``budget`` what only adds seeds or time.
_FREE = (
    "description",
    "equal_time",
    "budget.most_seeds",
    "budget.most_runs",
    "budget.minutes",
)
#: What may differ, in two comparisons of the same question.
_INCIDENTAL = ("name", "description", "budget", "fallback")


def open_comparison(name: str | None = None, storage: str = DEFAULT_URL) -> Comparison:
    """Read a comparison as it stands.

    Args:
        name: its name; ``None`` for the one that the newest study is of.
        storage: where it is: a database URL, or the path of a SQLite file.

    Raises:
        storage.StorageError: the storage cannot be opened, or holds nothing of that name.
        SweepsError: what is there is no comparison.
    """
    opened = open_storage(storage)
    try:
        found = find_comparison(opened, name)
        if found is None:
            what = "the newest study is of no comparison" if name is None else "is no comparison"
            raise SweepsError(f"{name or opened.location}: {what}; `sweeps compare` makes one")
        return read_comparison(opened, found)
    finally:
        opened.engine.dispose()


def read_comparison(storage: HardenedStorage, name: str) -> Comparison:
    """Read a comparison, which may be under way.

    Raises:
        storage.StorageError: there is none of that name.
        SweepsError: it was not made by ``sweeps compare``.
    """
    home = open_study(storage, confirm_name(name))
    if (tree := home.user_attrs.get(COMPARISON)) is None:
        raise SweepsError(f"{name}: is no comparison: `sweeps compare` makes one")
    spec = validate(ComparisonSpec, tree, name)
    known = study_names(storage)
    dead = spec.dead(home.user_attrs.get(attributes.CLASSES))
    trials = {
        study: open_study(storage, study).get_trials(deepcopy=False)
        for study in stages(name, known)
    }
    confirmed = trials[home.study_name]
    equal = trials.get(equal_time_name(name), [])
    chosen = home.user_attrs.get(CHOSEN, {})
    epochs = home.user_attrs.get(EQUAL_TIME, {})
    arms = {}
    for arm in spec.arms:
        explored = trials.get(explore_name(name, arm), [])
        tuned = trials.get(tune_name(name, arm), [])
        runs = _read_runs(spec, confirmed, arm, dead)
        own_equal = [trial for trial in equal if trial.user_attrs.get(CONFIGURATION) == arm]
        is_as_long = epochs.get(arm) == spec.training.epochs
        mine = [trial for trial in confirmed if trial.user_attrs.get(CONFIGURATION) == arm]
        arms[arm] = ArmResult(
            name=arm,
            settings=dict(spec.arms[arm].set),
            tuned=list(spec.tune_spec(arm).search),
            fixed=[setting for setting in spec.arms[arm].set if setting in spec.search],
            choice=Choice(**chosen[arm]) if arm in chosen else None,
            explored=_values(explored, dead),
            searched=_values(tuned, dead),
            runs=runs,
            equal_time_epochs=epochs.get(arm),
            equal_time_runs=runs if is_as_long else _read_runs(spec, own_equal, arm, dead),
            parameters=_first(mine, attributes.PARAMETERS),
            multiply_adds=_first(mine, attributes.MULTIPLY_ADDS),
            step_ms=_median(mine, "step_ms"),
            epoch_seconds=_median(mine, "seconds"),
            peak_memory_mib=_median(mine, "peak_memory_mib"),
            epochs=sum(
                len(trial.intermediate_values) for trial in (*explored, *tuned, *mine, *own_equal)
            ),
        )
    return Comparison(
        name=name,
        spec=spec,
        arms=arms,
        pairs=_pairs(spec, arms, lambda arm: arm.runs),
        equal_time=(
            _pairs(spec, arms, lambda arm: arm.equal_time_runs)
            if spec.equal_time and epochs
            else []
        ),
        earlier=_earlier(storage, known, home, spec),
    )


def _read_runs(spec: ComparisonSpec, trials: list[FrozenTrial], arm: str, dead: float) -> list[Run]:
    """Return an arm's runs in the order of their seeds, up to the first without a result.

    Args:
        spec: the comparison.
        trials: of its confirming study, or of that at equal time.
        arm: the arm.
        dead: the value of a run that died.

    Raises:
        SweepsError: a run did not measure what verdicts are about.
    """
    by_seed = {
        trial.user_attrs.get(OVERRIDES, {}).get("seed"): trial
        for trial in trials
        if trial.user_attrs.get(CONFIGURATION) == arm
        and trial.state.is_finished()
        and not unfinished_outcome(trial)
    }
    runs: list[Run] = []
    while (trial := by_seed.get(spec.seed_of(len(runs)))) is not None:
        value, death = _measured(spec, trial, dead)
        seed, curve = spec.seed_of(len(runs)), dict(trial.intermediate_values)
        parts = trial.user_attrs[OVERRIDES].get("training.micro_batches")
        runs.append(Run(seed, trial.number, value, death, curve, parts))
    return runs


def refuse_other_comparison(name: str, home: optuna.Study, spec: ComparisonSpec) -> None:
    """Refuse to resume a comparison whose spec has changed, but for seeds and time to spend.

    Raises:
        SweepsError: it has.
    """
    if (tree := home.user_attrs.get(COMPARISON)) is None:
        return
    # Read back: a setting that is new since then has its default.
    begun_with = validate(ComparisonSpec, tree, name).model_dump(mode="json")
    changed = differences(begun_with, spec.model_dump(mode="json"))
    if changed := [n for n in changed if not n.startswith(_FREE)]:
        raise SweepsError(
            f"{name}: this comparison was begun with other settings ({', '.join(changed)}); begin "
            "another with --study NAME, or bring the settings back"
        )


def _measured(spec: ComparisonSpec, trial: FrozenTrial, dead: float) -> tuple[float, str]:
    """What a run counts as, and how it died."""
    if trial.state is not TrialState.COMPLETE:
        outcome, reason = outcome_of(trial), trial.user_attrs.get(REASON)
        return dead, f"{outcome}: {reason}" if reason else outcome
    name = spec.measured.name
    if name == spec.metrics[0]:
        return trial.values[0], ""
    metrics = trial.user_attrs.get(attributes.METRICS, {})
    if name not in metrics:
        raise SweepsError(
            f"{spec.name}: confirming run {trial.number} has not reported {name} in its last epoch"
        )
    value = metrics[name]
    return (dead, f"{name} was not finite") if value is None else (value, "")


def _values(trials: list[FrozenTrial], dead: float) -> list[float]:
    """The validation metric of trials that have ended, in its own unit."""
    values = []
    for trial in trials:
        if not trial.state.is_finished() or unfinished_outcome(trial):
            continue
        if trial.state is TrialState.COMPLETE:
            values.append(trial.values[0])
            continue
        seen = [value for _, value in sorted(trial.intermediate_values.items())]
        is_pruned = outcome_of(trial) == "pruned"
        values.append(seen[-1] if is_pruned and seen else dead)
    return values


def _pairs(
    spec: ComparisonSpec, arms: Mapping[str, ArmResult], runs: Callable[[ArmResult], list[Run]]
) -> list[Pair]:
    sign = 1.0 if spec.measured.direction == "maximize" else -1.0
    pairs = []
    for name, other in spec.pairs:
        both = zip(runs(arms[name]), runs(arms[other]), strict=False)
        found = [sign * (one.value - two.value) for one, two in both]
        low, high = confidence_sequence(found, spec.error / len(spec.pairs))
        verdict = decide(found, margin=spec.margin, error=spec.error, comparisons=len(spec.pairs))
        pairs.append(
            Pair(
                name, other, found, low.tolist(), high.tolist(), verdict, probability_better(found)
            )
        )
    return pairs


def _earlier(
    storage: HardenedStorage, known: list[str], home: optuna.Study, spec: ComparisonSpec
) -> list[Earlier]:
    """Comparisons that stand before this one in the storage, on its images, with results."""
    found = []
    for study_name in known[: known.index(home.study_name)]:
        if not study_name.endswith(confirm_name("")):
            continue
        study = open_study(storage, study_name)
        other = study.user_attrs.get(COMPARISON)
        images = attributes.FINGERPRINT
        if other is None or study.user_attrs.get(images) != home.user_attrs.get(images):
            continue
        # Arms were chosen by then, so what they reached was there to be seen.
        if CHOSEN not in study.user_attrs:
            continue
        name = study_name.removesuffix(confirm_name(""))
        # One of another release, which this one cannot read, is compared as it is written.
        with suppress(SweepsError):
            other = validate(ComparisonSpec, other, name).model_dump(mode="json")
        changed = differences(other, spec.model_dump(mode="json"))
        changed = [n for n in changed if not n.startswith(_INCIDENTAL)]
        found.append(Earlier(name, changed))
    return found


def _first(trials: list[FrozenTrial], attribute: str) -> Any:
    found = (trial.user_attrs[attribute] for trial in trials if attribute in trial.user_attrs)
    return next(found, None)


def _median(trials: list[FrozenTrial], metric: str) -> float | None:
    """Of what the last epochs of complete runs measured."""
    measured = (
        trial.user_attrs.get(attributes.METRICS, {}).get(metric)
        for trial in trials
        if trial.state is TrialState.COMPLETE
    )
    known = [value for value in measured if value is not None]
    return statistics.median(known) if known else None
