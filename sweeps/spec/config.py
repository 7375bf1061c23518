"""The configuration of one training run: layer, model, training, data, seed.

It holds everything that training needs and nothing of a study, so that an exported configuration
trains without one. Values are addressed by dotted names, such as ``layer.edge``.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from sweeps.errors import SweepsError
from sweeps.spec.data import DataConfig
from sweeps.spec.imports import Reference
from sweeps.spec.layer import LayerConfig
from sweeps.spec.networks import ModelConfig, NamedModel, pixels_left
from sweeps.spec.training import TrainingConfig
from sweeps.spec.validation import Section, alternatives, error_at, keys_of, unknown_name

#: How the settings begin that code of your own takes, and the key that names that code.
OPTIONS = {
    "options.": "objective",
    "model.options.": "model.import",
    "training.optimizer.options.": "training.optimizer.import",
}


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
    def _layer_fits_the_network(self) -> Self:
        layer, model = self.layer, self.model
        converted = f"convolutions of {model.title} that become the layer"
        taps = LayerConfig.model_fields["kernel_size"].default
        if not model.has_new_stem and layer.kernel_size != taps:
            raise error_at("layer.kernel_size", f"{converted} keep their own taps; leave it out")
        if not model.has_new_stem and layer.blur:
            raise error_at("layer.blur", f"{converted} read what they did before; leave it out")
        if layer.init == "dirac" and model.has_new_stem:
            raise error_at(
                "layer.init",
                f"dirac needs as many output as input channels, and the stem of {model.title} has "
                "more; use scale or lsuv",
            )
        if layer.init == "dirac" and model.weights != "none":
            raise error_at(
                "layer.init", "dirac would replace the weights of model.weights; use scale or lsuv"
            )
        return self

    def settings(self) -> dict[str, Any]:
        """Return the values by dotted name. A new stem has stride 1 where none is given."""
        tree = self.model_dump()
        values = {}
        for name in setting_names():
            *path, last = name.split(".")
            section = _section(tree, path)
            if last in section:
                value = section[last]
                # One value for each axis is a list, as in a spec.
                values[name] = list(value) if isinstance(value, tuple) else value
        for prefix in OPTIONS:
            for option, value in _section(tree, prefix.split(".")[:-1]).items():
                values[prefix + option] = value
        if self.model.has_new_stem and self.layer.stride is None:
            values["layer.stride"] = 1
        return values

    def with_values(self, values: Mapping[str, Any]) -> Self:
        """Copy the configuration with other values at these dotted names.

        Options of code that another value replaces are left out.

        Raises:
            pydantic.ValidationError: a value is refused.

        Example:
            >>> RunConfig().with_values({"layer.edge": 0.25}).layer.edge
            0.25
        """
        tree = self.model_dump()
        for name, value in values.items():
            *path, last = name.split(".")
            _section(tree, path)[last] = value
        return type(self).model_validate(tree)


def _section(tree: Any, path: list[str]) -> dict[str, Any]:
    """The keys and values at a path; none where it leads to no section."""
    for part in path:
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree if isinstance(tree, dict) else {}


@cache
def setting_names() -> tuple[str, ...]:
    """Return the dotted names of all settings that a run can have, in reading order.

    Those that code of your own takes, :data:`OPTIONS`, are not among them.
    """
    owned = ("objective", *(prefix.rstrip(".") for prefix in OPTIONS))
    return tuple(name for name in dict.fromkeys(_leaf_names(RunConfig, "")) if name not in owned)


def _leaf_names(section: type[BaseModel], prefix: str) -> Iterator[str]:
    for key, annotation in keys_of(section).items():
        kinds = [kind for _, kind in alternatives(annotation)]
        if all(isinstance(kind, type) and issubclass(kind, BaseModel) for kind in kinds):
            for inner in kinds:
                yield from _leaf_names(inner, f"{prefix}{key}.")
        else:
            yield prefix + key


def check_setting(name: str) -> str:
    """Refuse a name that no run can have.

    Raises:
        ValueError: it is none; the nearest is named.
    """
    if name not in setting_names() and not name.startswith(tuple(OPTIONS)):
        raise ValueError(unknown_name(name, setting_names()))
    return name


def check_varied(name: str) -> str:
    """Refuse a name that no setting has, or one that is the same for all trials of a study.

    Raises:
        ValueError: what is wrong.
    """
    check_setting(name)
    if name.startswith("data.") or name in ("training.epochs", "seed"):
        raise ValueError(
            "trials could not be compared; give it once, outside of search and baselines"
        )
    if name == "model.import":
        raise ValueError("one study has one network of your own; search its options")
    return name


#: A setting's dotted name; one that a study may vary.
Setting = Annotated[str, AfterValidator(check_setting)]
VariedSetting = Annotated[str, AfterValidator(check_varied)]


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
        pixels_left(config.layer.stride or 1, size)
