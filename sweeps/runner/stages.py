"""The stages of a comparison as sweeps: which one runs, and about how long all will take."""

import time
from collections import defaultdict
from collections.abc import Callable

from storage import HardenedStorage, open_study, study_names
from sweeps.reporting import Reporter
from sweeps.reporting.formatting import clock
from sweeps.spec.comparison import ComparisonSpec
from sweeps.spec.spec import Spec
from sweeps.study.progress import count_finished
from sweeps.study.stages import confirm_name, equal_time_name, explore_name, tune_name


class TimeIsUp(Exception):
    """No run may start any more."""


class Stages:
    """Runs the stages of a comparison, one after another, within the time of one call.

    Args:
        storage: where their studies are.
        spec: the comparison.
        name: its name.
        reporter: says which stage runs.
        run: runs a sweep under a study's name.
    """

    def __init__(
        self,
        storage: HardenedStorage,
        spec: ComparisonSpec,
        name: str,
        reporter: Reporter,
        run: Callable[[Spec, str], object],
    ) -> None:
        self._storage = storage
        self._name = name
        self._reporter = reporter
        self._run = run
        minutes = spec.budget.minutes
        self._ends_at = None if minutes is None else time.monotonic() + minutes * 60
        self._targets = _least_trials(spec, name)
        #: The trials with a result of the stages that have run.
        self._finished: defaultdict[str, int] = defaultdict(int)
        #: By kind of stage, in this call.
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._trials: defaultdict[str, int] = defaultdict(int)

    def run(self, spec: Spec, study: str) -> None:
        """Run a stage, unless it has its trials.

        Raises:
            TimeIsUp: it was, before the stage had them.
        """
        target = self._targets[study] = spec.budget.trials or 0
        before = self._count(study)
        if before >= target:
            return
        left = self._time_left()
        if left is not None and left <= 0:
            raise TimeIsUp
        self._reporter.say(self._headline(study))
        began = time.monotonic()
        minutes = None if left is None else left / 60
        budget = spec.budget.model_copy(update={"minutes": minutes})
        self._run(spec.model_copy(update={"budget": budget}), study)
        after = self._count(study)
        if after < target:
            raise TimeIsUp
        self._seconds[self._kind(study)] += time.monotonic() - began
        self._trials[self._kind(study)] += after - before

    def _headline(self, study: str) -> str:
        studies = list(self._targets)
        words = f"stage {studies.index(study) + 1} of {len(studies)}: {self._title(study)}"
        seconds = self._seconds_to_go()
        return words if seconds is None else f"{words}, about {clock(seconds)} left in all"

    def _seconds_to_go(self) -> float | None:
        """Until all stages have their trials; ``None`` before one of them was timed."""
        rates = {kind: self._seconds[kind] / self._trials[kind] for kind in self._trials}
        if not rates:
            return None
        # Until trials that tune were timed, nothing is known of pruning.
        longest = max(rates.values())
        estimate = sum(
            max(target - self._finished[study], 0) * rates.get(self._kind(study), longest)
            for study, target in self._targets.items()
        )
        left = self._time_left()
        return estimate if left is None else min(estimate, left)

    def _time_left(self) -> float | None:
        return None if self._ends_at is None else self._ends_at - time.monotonic()

    def _title(self, study: str) -> str:
        """``tune linear-7x7`` of ``NAME.tune.linear-7x7``."""
        return study.removeprefix(f"{self._name}.").replace(".", " ", 1)

    def _kind(self, study: str) -> str:
        return self._title(study).partition(" ")[0]

    def _count(self, study: str) -> int:
        if study in study_names(self._storage):
            trials = open_study(self._storage, study).get_trials(deepcopy=False)
            self._finished[study] = count_finished(trials)
        return self._finished[study]


def _least_trials(spec: ComparisonSpec, name: str) -> dict[str, int]:
    """Return the studies of a comparison in their order, and how many trials each has at least."""
    trials: dict[str, int] = {}
    if spec.budget.explore:
        trials |= {explore_name(name, arm): spec.budget.explore for arm in spec.arms}
    trials |= {tune_name(name, arm): spec.budget.tune for arm in spec.arms}
    trials[confirm_name(name)] = len(spec.arms) * spec.first_seeds
    if spec.equal_time:
        trials[equal_time_name(name)] = (len(spec.arms) - 1) * spec.first_seeds
    return trials
