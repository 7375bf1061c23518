"""The configuration of one training run: layer, model, training, data, seed.

It holds everything that training needs and nothing of a study, so that an exported configuration
trains without one. Values are addressed by dotted names, such as ``layer.edge``.
"""

import typing
from collections.abc import Iterator, Mapping
from functools import cache, reduce
from operator import getitem
from typing import Any, Self

from pydantic import BaseModel, Field, model_validator

from sweeps.errors import SweepsError
from sweeps.spec.data import DataConfig
from sweeps.spec.imports import Reference
from sweeps.spec.layer import LayerConfig
from sweeps.spec.networks import ModelConfig, NamedModel, pixels_left
from sweeps.spec.training import TrainingConfig
from sweeps.spec.validation import Section

#: How the settings begin that a network of your own takes.
OPTIONS = "model.options."
_OPTIONS = OPTIONS.rstrip(".")


class RunConfig(Section):
    """The configuration of one training run.

    Attributes:
        objective: the training loop, ``mywork:train``; ``None`` for that of the project.
        options: the settings of a loop of your own: ``options.lr``.
        seed: of the initial weights, the order of the images and their augmentation.
    """

    objective: Reference | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    layer: LayerConfig = LayerConfig()
    model: ModelConfig = NamedModel()
    training: TrainingConfig = TrainingConfig()
    data: DataConfig = DataConfig()
    seed: int = Field(0, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _converted_convolutions_keep_their_taps(self) -> Self:
        taps = LayerConfig.model_fields["kernel_size"].default
        if not self.model.has_new_stem and self.layer.kernel_size != taps:
            raise ValueError(
                f"layer.kernel_size: convolutions of {self.model.title} that become the layer "
                "keep their own taps; leave it out"
            )
        return self

    @model_validator(mode="after")
    def _can_start_as_an_identity(self) -> Self:
        if self.layer.init == "dirac" and self.model.has_new_stem:
            raise ValueError(
                "layer.init: dirac needs as many output as input channels, and the stem of "
                f"{self.model.title} has more; use scale or lsuv"
            )
        if self.layer.init == "dirac" and self.model.weights != "none":
            raise ValueError(
                "layer.init: dirac would replace the weights of model.weights; use scale or lsuv"
            )
        return self

    def settings(self) -> dict[str, Any]:
        """Return the values by dotted name. A new stem has stride 1 where none is given."""
        tree = self.model_dump()
        values = {}
        for name in setting_names():
            *path, last = name.split(".")
            section = reduce(getitem, path, tree)
            if last in section:
                values[name] = section[last]
        for option, value in tree["model"].get("options", {}).items():
            values[OPTIONS + option] = value
        for option, value in self.options.items():
            values[f"options.{option}"] = value
        if self.model.has_new_stem and self.layer.stride is None:
            values["layer.stride"] = 1
        return values

    def value(self, name: str) -> Any:
        """Return the value at a dotted name.

        Raises:
            KeyError: the configuration has no such setting.
        """
        return self.settings()[name]

    def with_values(self, values: Mapping[str, Any]) -> Self:
        """Copy the configuration with other values at these dotted names.

        Raises:
            pydantic.ValidationError: a value is refused.

        Example:
            >>> RunConfig().with_values({"layer.edge": 0.25}).layer.edge
            0.25
        """
        tree = self.model_dump()
        for name, value in values.items():
            *path, last = name.split(".")
            node = tree
            for part in path:
                node = node[part]
            node[last] = value
        return type(self).model_validate(tree)


@cache
def setting_names() -> tuple[str, ...]:
    """Return the dotted names of all settings that a run can have, in reading order.

    Those of ``model.options`` are what a spec's network takes; they are not among them.
    """
    return tuple(name for name in dict.fromkeys(_leaf_names(RunConfig, "")) if name != _OPTIONS)


def _leaf_names(section: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        dotted = f"{prefix}{field.alias or name}"
        if dotted in ("objective", "options"):
            continue
        kinds = [typing.get_args(kind) for kind in typing.get_args(field.annotation)]
        alternatives = [kind[0] for kind in kinds if kind] or [field.annotation]
        if all(isinstance(a, type) and issubclass(a, BaseModel) for a in alternatives):
            for inner in alternatives:
                yield from _leaf_names(inner, f"{dotted}.")
        else:
            yield dotted


def check_run(config: RunConfig, size: int, train_images: int) -> None:
    """Check that a configuration fits its images, without opening them.

    Args:
        config: the run.
        size: height and width of the images in pixels.
        train_images: number of images to train on.

    Raises:
        SweepsError: it does not fit.
    """
    settings = config.training
    if settings.crop >= size:
        raise SweepsError(f"training.crop {settings.crop} is too large for images of {size} pixels")
    if settings.batch_size > train_images:
        raise SweepsError(
            f"training.batch_size {settings.batch_size} is more than the {train_images} "
            "training images; make it smaller"
        )
    if config.model.title == "tutorial":
        pixels_left(config.value("layer.stride") or 1, size)
