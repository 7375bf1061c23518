"""All that is needed to run a study or a comparison again."""

import shlex
from collections import Counter
from collections.abc import Iterable
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from sweeps.reporting.report.document import Code, Section, Table
from sweeps.spec.files import dump_yaml
from sweeps.spec.spec import Spec
from sweeps.study import attributes
from sweeps.study.comparison import Comparison
from sweeps.study.progress import Progress
from sweeps.study.study import spec_tree


def run_again(study: optuna.Study, progress: Progress, spec: Spec | None) -> Section:
    """Write the section with all that is needed to run a study again."""
    section = Section("Run it again")
    if spec is None:
        return section
    name = shlex.quote(study.study_name)
    section.blocks += [
        "Save the spec below as spec.yaml, then:",
        Code(
            f"sweeps run spec.yaml --study {name}-again\n"
            f"sweeps export {name} -o best.yaml\n"
            "sweeps train best.yaml --seed 1",
            "sh",
        ),
        Table(["", ""], _identity(study, progress.trials, spec), caption="What it ran on"),
        Code(_spec_yaml(spec), "yaml"),
    ]
    return section


def run_comparison_again(
    comparison: Comparison, home: optuna.Study, trials: Iterable[FrozenTrial]
) -> Section:
    """Write the section with all that is needed to run a comparison again.

    Args:
        comparison: the comparison.
        home: its study that holds it.
        trials: those of all its studies.
    """
    spec, name = comparison.spec, shlex.quote(comparison.name)
    seeds = [run.seed for arm in comparison.arms.values() for run in arm.runs]
    rows = _identity(home, trials, spec)
    rows[0] = ["seed of the tuning", str(spec.seed)]
    if seeds:
        rows.insert(1, ["confirming seeds", f"{min(seeds)} to {max(seeds)}"])
    return Section(
        "Run it again",
        [
            "Save the spec below as spec.yaml, then:",
            Code(
                f"sweeps compare spec.yaml --study {name}-again\n"
                f"sweeps export {name}-again -o best.yaml\n"
                "sweeps train best.yaml --save best.safetensors --save best.onnx",
                "sh",
            ),
            Table(["", ""], rows, caption="What it ran on"),
            Code(_spec_yaml(spec), "yaml"),
        ],
    )


def _spec_yaml(spec: Spec) -> str:
    """Write a spec with its defaults, which may be others in a later release."""
    first = ("name", "description", "metric", "objectives", "budget", "search", "baselines", "arms")
    whole = spec_tree(spec)
    tree = _without_empty(whole)
    if "reference" in whole:
        # Left out it would be the first arm.
        tree["reference"] = whole["reference"]
    return dump_yaml({name: tree[name] for name in (*first, *tree) if name in tree})


def _without_empty(tree: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is null or has nothing in it: that is never but a default."""
    within = {k: _without_empty(v) if isinstance(v, dict) else v for k, v in tree.items()}
    return {name: value for name, value in within.items() if value not in (None, {}, [], "")}


def _identity(study: optuna.Study, trials: Iterable[FrozenTrial], spec: Spec) -> list[list[str]]:
    """List what has to be the same for the same numbers."""
    rows = [["seed", str(spec.seed)]]
    known = study.user_attrs
    if attributes.FINGERPRINT in known:
        size = known[attributes.DATA_SIZE]
        rows.append(
            ["images", f"{spec.data.title} at {size} pixels, {known[attributes.FINGERPRINT]}"]
        )
    rows += [[where, digest] for where, digest in known.get(attributes.CODE, {}).items()]
    environments: dict[str, Counter[str]] = {}
    for trial in trials:
        environment = trial.user_attrs.get(attributes.ENVIRONMENT, {})
        for label, value in _environment(environment).items():
            environments.setdefault(label, Counter())[value] += 1
    for label, values in environments.items():
        many = len(values) > 1
        words = [f"{v} ({n} trials)" if many else v for v, n in values.most_common()]
        rows.append([label, "; ".join(words)])
    return rows


def _environment(environment: dict[str, Any]) -> dict[str, str]:
    if not environment:
        return {}
    libraries = environment.get("libraries", {})
    return {
        "device": f"{environment.get('device')}: {environment.get('device_name')}, "
        f"{environment.get('threads')} threads",
        "python": str(environment.get("python")),
        "libraries": ", ".join(f"{name} {version}" for name, version in libraries.items()),
        "commit": str(environment.get("commit") or "not known"),
    }
