"""The search space: which settings a study varies, and how a trial picks their values."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import combinations
from typing import Annotated, Any, Self

import optuna
from pydantic import AfterValidator, ConfigDict, Field, model_validator

from sweeps.spec.config import Setting, check_varied
from sweeps.spec.validation import Section, error_at

_MAX_PROBES = 64
_PLAIN = (bool, int, float, str, type(None))


class Parameter(Section):
    """One searched setting: exactly one of ``float``, ``int`` and ``choice``.

    Attributes:
        float, int: lowest and highest value, both included.
        choice: the values to choose from; a list is a value for each axis.
        log: search on a logarithmic scale.
        step: only the lowest value plus multiples of this.
        when: settings and the value, or values, at which this one is searched; elsewhere it keeps
            its fixed value.
    """

    model_config = ConfigDict(populate_by_name=True)

    float_: tuple[float, float] | None = Field(None, alias="float")
    int_: tuple[int, int] | None = Field(None, alias="int")
    choice: list[Any] | None = Field(None, min_length=1)
    log: bool = False
    step: float | None = Field(None, gt=0)
    when: dict[Setting, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        given = [kind for kind in (self.float_, self.int_, self.choice) if kind is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of float: [low, high], int: [low, high], choice: []")
        bounds = self.float_ or self.int_
        if bounds and bounds[0] > bounds[1]:
            raise ValueError(f"the lowest value {bounds[0]} is above the highest {bounds[1]}")
        if self.log and (bounds is None or bounds[0] <= 0):
            raise ValueError("log needs a lowest value above 0")
        if self.step is not None and (bounds is None or self.log):
            raise ValueError("step goes with float or int, without log")
        if self.int_ and self.step is not None and self.step != int(self.step):
            raise ValueError(f"step {self.step} is not a whole number")
        if any(wanted == [] for wanted in self.when.values()):
            raise ValueError("when: an empty list is met by nothing; name a value, or several")
        for value in self.choice or ():
            if not all(isinstance(v, _PLAIN) for v in (value if _is_list(value) else [value])):
                raise ValueError(
                    "choice takes numbers, words, true, false, null, and lists of these"
                )
        return self

    def __str__(self) -> str:
        """Describe the values in words: ``0.005 to 0.1, log``."""
        if self.choice is not None:
            return ", ".join(str(value) for value in self.choice)
        low, high = self.float_ or self.int_ or (0, 0)
        step = f" in steps of {self.step:g}" if self.step is not None else ""
        return f"{low} to {high}{step}{', log' if self.log else ''}"

    @property
    def condition(self) -> str:
        """Its ``when`` in words: ``layer.growth is 5 or 7``; empty without any."""
        return " and ".join(
            f"{name} is {' or '.join(map(str, self.wanted(name)))}" for name in self.when
        )

    def probes(self) -> list[Any]:
        """Return values to check: if they are allowed, all are; the extremes and some between."""
        if self.float_ is None:
            values = self.values()
            return [*values] if self.choice else [*values[:_MAX_PROBES], *values[_MAX_PROBES:][-1:]]
        low, high = self.float_
        # The value between is not whole: a setting that takes whole numbers refuses it.
        return [low, low + (high - low) / math.pi, high] if low < high else [low]

    def values(self) -> Sequence[Any]:
        """Return all values, where there is a finite number.

        Raises:
            ValueError: there is not: a float without a step.
        """
        if self.choice is not None:
            return self.choice
        if self.int_ is not None:
            return range(self.int_[0], self.int_[1] + 1, int(self.step or 1))
        assert self.float_ is not None
        if self.step is None:
            raise ValueError("float needs a step")
        low, high = self.float_
        count = math.floor((high - low) / self.step + 1e-9)
        # Rounding may carry the last one beyond the highest.
        return [min(low + index * self.step, high) for index in range(count + 1)]

    def contains(self, value: Any) -> bool:
        """Whether the parameter can take the value."""
        if self.choice is not None:
            # In Python True equals 1.
            return any(
                value == choice and isinstance(value, bool) == isinstance(choice, bool)
                for choice in self.choice
            )
        bounds = self.float_ or self.int_
        assert bounds is not None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if not bounds[0] <= value <= bounds[1]:
            return False
        step = self.step or (1 if self.int_ else None)
        if step is None:
            return True
        steps = (value - bounds[0]) / step
        return math.isclose(steps, round(steps), abs_tol=1e-9)

    def suggest(self, trial: optuna.Trial, name: str) -> Any:
        """Let a trial pick the value."""
        if self.float_ is not None:
            return trial.suggest_float(name, *self.float_, log=self.log, step=self.step)
        if self.int_ is not None:
            return trial.suggest_int(name, *self.int_, log=self.log, step=int(self.step or 1))
        assert self.choice is not None
        picked = trial.suggest_categorical(name, [as_param(choice) for choice in self.choice])
        lists = (choice for choice in self.choice if _is_list(choice))
        return next((value for value in lists if as_param(value) == picked), picked)

    def is_active(self, values: Mapping[str, Any]) -> bool:
        """Whether its ``when`` holds, given the values of the other settings."""
        return all(values.get(name) in self.wanted(name) for name in self.when)

    def wanted(self, name: str) -> list[Any]:
        """Return the values of another setting at which this one is searched."""
        values = self.when[name]
        return values if isinstance(values, list) else [values]

    def excludes(self, other: "Parameter") -> bool:
        """Whether no trial searches both: a setting has no value at which both ``when`` hold."""
        shared = [name for name in self.when if name in other.when]
        return any(all(v not in other.wanted(n) for v in self.wanted(n)) for n in shared)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def as_param(value: Any) -> Any:
    """Return a value as Optuna's parameters have it: a list, which they cannot be, as text."""
    return json.dumps(value) if _is_list(value) else value


def setting_of(name: str) -> str:
    """Return the setting that an entry of the search space is for.

    Example:
        ``training.learning_rate@adamw`` is a range for ``training.learning_rate``, one of several.
    """
    return name.partition("@")[0]


def _check_entry(name: str) -> str:
    check_varied(setting_of(name))
    return name


def _check_together(search: dict[str, Parameter]) -> dict[str, Parameter]:
    search_order(search)
    for name, other in combinations(search, 2):
        same = setting_of(name) == setting_of(other)
        if same and not search[name].excludes(search[other]):
            raise error_at(
                other,
                f"is searched together with {name}; give both a when, with other values of the "
                "same setting",
            )
    return search


#: The search space by setting; what follows ``@`` tells several ranges of one setting apart.
Search = Annotated[
    dict[Annotated[str, AfterValidator(_check_entry)], Parameter], AfterValidator(_check_together)
]


def search_order(search: Mapping[str, Parameter]) -> list[str]:
    """Return the searched names, each after those in its ``when``.

    Raises:
        ValueError: the conditions go in a circle.
    """
    graph = {
        name: [other for other in search if setting_of(other) in parameter.when]
        for name, parameter in search.items()
    }
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise ValueError(f"the conditions go in a circle: {' -> '.join(error.args[1])}") from None


def pick_values(
    search: Mapping[str, Parameter],
    fixed: Mapping[str, Any],
    pick: Callable[[str, Parameter], Any],
    overrides: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the values that a trial sets, by dotted name.

    Args:
        search: the search space.
        fixed: the values of the settings that are not set here.
        pick: called for each active parameter, in the order of their conditions.
        overrides: values that are set rather than picked.
    """
    values = dict(overrides)
    for name in search_order(search):
        setting = setting_of(name)
        # Another optimizer that was set whole does not have the options searched for the first.
        is_replaced = any(setting.startswith(f"{other}.") for other in overrides)
        if setting in values or is_replaced or not search[name].is_active({**fixed, **values}):
            continue
        values[setting] = pick(name, search[name])
    return values
