"""What a report says of a spec: what was trained on what and searched; how to run it again."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from sweeps.reporting.report.document import Block, Code, Table, text_columns
from sweeps.reporting.report.glossary import SETTINGS
from sweeps.spec.files import dump_yaml
from sweeps.spec.search import Parameter, setting_of
from sweeps.spec.spec import Spec
from sweeps.study import attributes


def training_words(spec: Spec, study: optuna.Study, run: str, epochs: str, others: str) -> str:
    """Say what was trained on what.

    Args:
        spec: the spec.
        study: a study of it.
        run: what trained: ``Each trial``.
        epochs: for how long.
        others: what became of the validation images, whose number goes into its ``{:,}``.
    """
    known = study.user_attrs
    network = f"trained the network {spec.model.title}"
    trained = f"ran the training loop {spec.objective}" if spec.objective else network
    words = f"{run} {trained} for {epochs}"
    images = known.get(attributes.TRAIN_IMAGES)
    if not images:
        return f"{words}."
    size, classes = known.get(attributes.DATA_SIZE), known.get(attributes.CLASSES)
    validation = known.get(attributes.VALIDATION_IMAGES)
    return (
        f"{words} on {images:,} images of {spec.data.title} ({size}x{size} pixels, {classes} "
        f"classes){others.format(validation)}"
    )


def search_table(search: Mapping[str, Parameter], verb: str) -> Table:
    """Make a table of the settings that were searched, or tuned, and what they are."""
    rows = [
        [name, _values(parameter), SETTINGS.get(setting_of(name), "")]
        for name, parameter in search.items()
    ]
    values = "searched" if verb == "searched" else "values"
    return text_columns(["setting", values, "what it is"], rows, f"What was {verb}")


def _values(parameter: Parameter) -> str:
    return f"{parameter}, where {parameter.condition}" if parameter.when else str(parameter)


def run_again(
    spec: Spec,
    study: optuna.Study,
    trials: Iterable[FrozenTrial],
    commands: Iterable[str],
    seeds: Mapping[str, str],
) -> list[Block]:
    """List all that is needed to run a spec again.

    Args:
        spec: the spec.
        study: a study of it.
        trials: all trials.
        commands: what to type.
        seeds: the seeds, by what they are for.
    """
    rows = [[what, seed] for what, seed in seeds.items()]
    known = study.user_attrs
    if attributes.FINGERPRINT in known:
        images = f"{spec.data.title} at {known[attributes.DATA_SIZE]} pixels"
        rows.append(["images", f"{images}, {known[attributes.FINGERPRINT]}"])
    rows += [[where, digest] for where, digest in known.get(attributes.CODE, {}).items()]
    counts: dict[str, Counter[str]] = {}
    for trial in trials:
        for what, value in _environment(trial.user_attrs.get(attributes.ENVIRONMENT)).items():
            counts.setdefault(what, Counter())[value] += 1
    for what, values in counts.items():
        words = [f"{value} ({count} trials)" for value, count in values.most_common()]
        rows.append([what, "; ".join(words if len(words) > 1 else values)])
    return [
        "Save the spec below as spec.yaml, then:",
        Code("\n".join(commands), "sh"),
        Table(["", ""], rows, caption="What it ran on"),
        Code(_spec_yaml(spec), "yaml"),
    ]


def _environment(known: dict[str, Any] | None) -> dict[str, str]:
    if not known:
        return {}
    libraries = known.get("libraries", {})
    device = f"{known.get('device')}: {known.get('device_name')}, {known.get('threads')} threads"
    return {
        "device": device,
        "python": str(known.get("python")),
        "libraries": ", ".join(f"{name} {version}" for name, version in libraries.items()),
        "commit": str(known.get("commit") or "not known"),
    }


def _spec_yaml(spec: Spec) -> str:
    """Write a spec with its defaults, which may be others in a later release."""
    first = ("name", "description", "metric", "objectives", "budget", "search", "baselines", "arms")
    whole = spec.model_dump(mode="json")
    tree = _without_empty(whole)
    if "reference" in whole:
        # Left out it would be the first arm.
        tree["reference"] = whole["reference"]
    return dump_yaml({name: tree[name] for name in (*first, *tree) if name in tree})


def _without_empty(tree: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is null or has nothing in it: that is never but a default."""
    within = {k: _without_empty(v) if isinstance(v, dict) else v for k, v in tree.items()}
    return {name: value for name, value in within.items() if value not in (None, {}, [], "")}
