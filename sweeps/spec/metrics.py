"""What a sweep optimizes: one metric, or several objectives."""

from typing import Any, Literal

from pydantic import Field, model_validator

from sweeps.spec.validation import Section, unknown_name

Direction = Literal["maximize", "minimize"]

#: What training reports, and in which direction each is better.
DIRECTIONS: dict[str, Direction] = {
    "val_accuracy": "maximize",
    "val_top5": "maximize",
    "val_loss": "minimize",
    "val_calibration_error": "minimize",
    "train_loss": "minimize",
    "step_ms": "minimize",
    "peak_memory_mib": "minimize",
    "seconds": "minimize",
    "images_per_second": "maximize",
}


def _with_direction(tree: Any, key: str) -> Any:
    if isinstance(tree, str):
        tree = {key: tree}
    if not isinstance(tree, dict) or "direction" in tree or not isinstance(tree.get(key), str):
        return tree
    name = tree[key]
    if name not in DIRECTIONS:
        words = unknown_name(name, list(DIRECTIONS)).replace("key", "metric")
        raise ValueError(
            f"{words} (one of your own needs a direction: {{{key}: {name}, direction: maximize}})"
        )
    return {**tree, "direction": DIRECTIONS[name]}


class Metric(Section):
    """The value that decides: of the last epoch.

    The short form ``val_loss`` stands for ``{name: val_loss, direction: minimize}``.
    """

    name: str = Field(min_length=1)
    direction: Direction

    @model_validator(mode="before")
    @classmethod
    def _know_direction(cls, tree: Any) -> Any:
        return _with_direction(tree, "name")


class Objective(Section):
    """One of several metrics that decide together."""

    metric: str = Field(min_length=1)
    direction: Direction

    @model_validator(mode="before")
    @classmethod
    def _know_direction(cls, tree: Any) -> Any:
        return _with_direction(tree, "metric")
