"""The notes that optuna-dashboard shows for a study and for each trial."""

from typing import TYPE_CHECKING, Any

import optuna

from sweeps.data import Dataset
from sweeps.spec.config import RunConfig
from sweeps.spec.files import dump_yaml
from sweeps.spec.spec import Spec

if TYPE_CHECKING:
    from sweeps.models import ModelFacts


def write_note(target: optuna.Study | optuna.Trial, text: str) -> None:
    """Save a Markdown note; without optuna-dashboard installed there is nobody to show it."""
    try:
        from optuna_dashboard import save_note
    except ImportError:
        return
    save_note(target, text)


def append_note(target: optuna.Study | optuna.Trial, text: str) -> None:
    """Add a paragraph to a note."""
    try:
        from optuna_dashboard import get_note
    except ImportError:
        return
    write_note(target, f"{get_note(target)}\n\n{text}".lstrip())


def study_note(spec: Spec, dataset: Dataset | None) -> str:
    """Write a study's note: its images, its metric, and the spec it was made from."""
    tree = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude_none=True)
    tree = {"name": spec.name, **tree}
    objective = [f"- **Objective**: `{spec.objective}`"] if spec.objective else []
    images = []
    if dataset is not None:
        images.append(
            f"- **Images**: {dataset.name}, {dataset.size} x {dataset.size} pixels, "
            f"{len(dataset.classes)} classes, `{dataset.fingerprint}`"
        )
    goals = zip(spec.metrics, spec.directions, strict=True)
    values = " and ".join(f"{name} ({direction})" for name, direction in goals)
    # With several objectives Optuna knows no pruned trials.
    diverged = "Pruned" if len(spec.metrics) == 1 else "Failed"
    lines = [
        f"# {spec.name}",
        spec.description,
        *objective,
        *images,
        f"- **Value**: {values} of the last epoch",
        f"- **{diverged}** also counts trials that diverged; their attribute `outcome` tells them "
        "apart",
        "",
        "The spec; what it does not name is at its default:",
        "",
        "```yaml",
        dump_yaml(tree).rstrip(),
        "```",
    ]
    return "\n".join(lines)


def trial_note(
    config: RunConfig, facts: "ModelFacts | None", configuration: str | None, worker: str
) -> str:
    """Write a trial's note: its kernel and size, where the project trains it; its configuration."""
    title = f"**{configuration}** (baseline, never pruned)" if configuration else "Sampled"
    tree: dict[str, Any] = config.model_dump(mode="json", exclude_none=True)
    lines = [
        f"{title}, by {worker}.",
        "",
    ]
    if facts is not None:
        lines += [
            f"- **Effective kernel**: {facts.kernel_size}, from {facts.taps} weights, in "
            f"{facts.layers} {'convolution' if facts.layers == 1 else 'convolutions'}",
            f"- **Receptive field** after the last convolution or pooling: {facts.receptive_field} "
            "pixels",
            f"- **Parameters**: {facts.parameters:,}",
            "",
        ]
    lines += [
        "```yaml",
        dump_yaml(tree).rstrip(),
        "```",
    ]
    return "\n".join(lines)
