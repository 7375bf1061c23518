"""What a sweep optimizes: one metric, or several."""

from typing import Any, Literal

from pydantic import AliasChoices, Field, model_validator

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


class Metric(Section):
    """A value that decides: that of the last epoch.

    The short form ``val_loss`` stands for ``{name: val_loss, direction: minimize}``. Among several
    objectives ``metric`` is another name for ``name``.
    """

    name: str = Field(min_length=1, validation_alias=AliasChoices("name", "metric"))
    direction: Direction

    @model_validator(mode="before")
    @classmethod
    def _know_direction(cls, tree: Any) -> Any:
        tree = {"name": tree} if isinstance(tree, str) else tree
        if not isinstance(tree, dict) or "direction" in tree:
            return tree
        name = tree.get("name", tree.get("metric"))
        if not isinstance(name, str):
            return tree
        if name not in DIRECTIONS:
            raise ValueError(
                f"{unknown_name(name, list(DIRECTIONS), 'metric')} (one of your own needs a "
                f"direction: {{name: {name}, direction: maximize}})"
            )
        return {**tree, "direction": DIRECTIONS[name]}
