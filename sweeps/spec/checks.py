"""What a spec can search or try, checked before anything starts: every mistake, a line each."""

from collections.abc import Iterator, Mapping
from itertools import islice, product
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sweeps.spec.config import OPTIONS, RunConfig
from sweeps.spec.imports import ImportedCode
from sweeps.spec.search import Parameter, pick_values, setting_of
from sweeps.spec.validation import describe, unknown_name

if TYPE_CHECKING:
    from sweeps.spec.spec import Spec

_MAX_COMBINATIONS = 2048


def mistakes(spec: "Spec") -> list[str]:
    """Describe what is wrong with the settings that a spec names and the values they may take."""
    base = spec.base_config()
    # By what of the spec they belong to.
    found: dict[str, list[str]] = {}
    for where, line in _wrong_names(spec, base.settings()):
        found.setdefault(where, []).append(line)
    for where, values in probe_values(spec):
        # A value that is wrong by itself is wrong in every combination.
        if where in found or (where == "search" and found):
            continue
        try:
            base.with_values(values)
        except ValidationError as error:
            found[where] = describe(error, where, RunConfig).splitlines()
    return [line for lines in found.values() for line in lines]


def probe_values(spec: "Spec") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield values to check: if runs with them are valid, so is what a spec can search or try.

    First each parameter's own, the others at their fixed values; then combinations of all
    parameters' extremes, up to 2,048; then the baselines.

    Yields:
        What the values belong to, and the values by dotted name.
    """
    fixed = spec.base_config().settings()
    probes = {name: parameter.probes() for name, parameter in spec.search.items()}
    for name, parameter in spec.search.items():
        # A parameter is only searched where its condition holds.
        wanted = {on: parameter.wanted(on)[0] for on in parameter.when}
        for value in probes[name]:
            yield f"search.{name}", {**wanted, setting_of(name): value}

    def values(picked: Mapping[str, Any]) -> dict[str, Any]:
        return pick_values(spec.search, fixed, lambda name, _: picked[name], {})

    extremes = [p[:1] if len(p) == 1 else [p[0], p[-1]] for p in probes.values()]
    for combination in islice(product(*extremes), _MAX_COMBINATIONS):
        yield "search", values(dict(zip(probes, combination, strict=True)))
    for baseline in spec.baselines:
        yield f"baselines.{baseline.name}", baseline.set


def _wrong_names(spec: "Spec", known: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield settings that the spec's run does not have, and conditions that never hold."""
    for name, parameter in spec.search.items():
        where = f"search.{name}"
        if setting_of(name) not in known:
            yield where, f"{where}: {_remedy(spec, setting_of(name), known)}"
        for condition in parameter.when:
            words = (
                _wrong_condition(spec, parameter, condition, known[condition])
                if condition in known
                else [_remedy(spec, condition, known)]
            )
            yield from ((where, f"{where}.when: {line}") for line in words)
    for baseline in spec.baselines:
        where = f"baselines.{baseline.name}"
        for name in baseline.set:
            if name not in known:
                yield where, f"{where}.{name}: {_remedy(spec, name, known)}"


def _wrong_condition(
    spec: "Spec", parameter: Parameter, condition: str, fixed: Any
) -> Iterator[str]:
    """Yield why a condition is on a value that its setting never has."""
    wanted = parameter.wanted(condition)
    searched = [p for name, p in spec.search.items() if setting_of(name) == condition]
    if not searched and fixed not in wanted:
        yield f"{condition} is fixed at {fixed!r} and never {wanted[0]!r}"
    for value in wanted if searched else ():
        if not any(other.contains(value) for other in searched):
            yield f"{condition} is searched and never {value!r}"


def _remedy(spec: "Spec", name: str, known: Mapping[str, Any]) -> str:
    named_code = {
        "objective": spec.objective is not None,
        "model.import": isinstance(spec.model, ImportedCode),
        "training.optimizer.import": isinstance(spec.training.optimizer, ImportedCode),
    }
    for prefix, owner in OPTIONS.items():
        if name.startswith(prefix):
            option, section = name.removeprefix(prefix), prefix.rstrip(".")
            if not named_code[owner]:
                return f"{section} are those of code of your own: name it with {owner}"
            there = [other.removeprefix(prefix) for other in known if other.startswith(prefix)]
            return (
                f"give {option} a value under {section}, which holds where it is not searched; "
                f"there are: {', '.join(there) or 'none'}"
            )
    return f"{spec.model.title} has no {name}: {unknown_name(name, list(known), 'setting')}"
