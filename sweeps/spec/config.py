"""The configuration of one training run: layer, model, training, data, seed.

It holds everything that training needs and nothing of a study, so that an exported configuration
trains without one. Values are addressed by dotted names, such as ``layer.edge``.
"""

import typing
from collections.abc import Iterator, Mapping
from functools import cache, reduce
from operator import getitem
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    field_validator,
    model_serializer,
    model_validator,
)

from sweeps.errors import SweepsError
from sweeps.spec.imports import Reference
from sweeps.spec.networks import NEW_STEM, TORCHVISION
from sweeps.spec.torchvision_sets import PREFIX, find_set
from sweeps.spec.validation import unknown_name


class Section(BaseModel):
    """Base of all sections: immutable, and unknown keys are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, serialize_by_alias=True
    )


T = TypeVar("T")

#: One value for both axes, or a list of two: that of the height, and that of the width.
PerAxis = Annotated[
    Annotated[T, Tag("both")] | Annotated[tuple[T, T], Tag("each")],
    Discriminator(lambda value: "each" if isinstance(value, list | tuple) else "both"),
]


def per_axis(value: T | tuple[T, T]) -> tuple[T, T]:
    """Return the values of both axes."""
    return value if isinstance(value, tuple) else (value, value)


class LayerConfig(Section):
    """The layer under test; see :class:`interpodil.InterpodilConv2d` for the meaning.

    Attributes:
        tent: a profile's name, in place of ``edge`` and ``corner``.
        init: how the weights start: as a plain convolution's, scaled for white input (``scale``)
            or for the first batch of training images (``lsuv``), or as an identity (``dirac``).
        init_scale: factor on the initial weights; with ``lsuv`` the outputs' standard deviation.
    """

    kernel_size: PerAxis[Annotated[int, Field(ge=1, le=15)]] = 3
    dilation: PerAxis[Annotated[int, Field(ge=1, le=16)]] = 2
    growth: PerAxis[Annotated[int, Field(ge=1)] | None] = None
    fade: PerAxis[Annotated[float, Field(ge=0, le=64)]] = 1.0
    edge: float = 0.5
    corner: float = 0.25
    tent: Literal["linear", "cosine", "gaussian"] | None = None
    learn_tent: Literal["none", "layer", "channel"] = "none"
    init: Literal["scale", "lsuv", "dirac"] = "scale"
    init_scale: float = Field(1.0, gt=0)
    gain: Literal["init", "forward"] = "init"
    gain_of: Annotated[
        Annotated[Literal["white", "constant"], Tag("input")]
        | Annotated[float, Field(gt=0), Tag("number")],
        Discriminator(lambda value: "input" if isinstance(value, str) else "number"),
    ] = "white"
    stride: int | None = Field(None, ge=1)

    @field_validator("kernel_size")
    @classmethod
    def _is_odd(cls, kernel_size: int | tuple[int, int]) -> int | tuple[int, int]:
        if any(taps % 2 == 0 for taps in per_axis(kernel_size)):
            raise ValueError("use an odd number: an even kernel cannot keep an image's size")
        return kernel_size

    @model_validator(mode="after")
    def _growth_fits_the_window(self) -> Self:
        for taps, dilation, growth, _ in self._axes():
            window = dilation * (taps - 1) + 1
            if growth is not None and (growth < window or (growth - window) % 2):
                raise ValueError(
                    f"growth {growth} does not fit: with kernel_size {taps} and dilation "
                    f"{dilation} it is {window}, {window + 2}, {window + 4}, ..."
                )
        return self

    @model_validator(mode="after")
    def _has_one_tent(self) -> Self:
        if self.tent is not None and (self.edge, self.corner) != (0.5, 0.25):
            raise ValueError(
                f"tent {self.tent} goes without edge and corner; search them with "
                "when: {layer.tent: null}"
            )
        return self

    @model_validator(mode="after")
    def _tent_can_be_learned(self) -> Self:
        if self.learn_tent == "none":
            return self
        if all(d == 1 or (k == 1 and not fade) for k, d, _, fade in self._axes()):
            raise ValueError(
                f"learn_tent {self.learn_tent} needs pixels between the taps: a dilation above 1"
            )
        if max(abs(self.edge), abs(self.corner)) >= 1:
            raise ValueError(
                f"learn_tent {self.learn_tent} starts between -1 and 1, both excluded: edge "
                f"{self.edge} or corner {self.corner} is not"
            )
        return self

    def _axes(self) -> Iterator[tuple[int, int, int | None, float]]:
        settings = (self.kernel_size, self.dilation, self.growth, self.fade)
        return zip(*(per_axis(setting) for setting in settings), strict=True)


class NamedModel(Section):
    """A network that comes with the project or with torchvision.

    Attributes:
        name: ``tutorial``, or one of :data:`sweeps.spec.networks.TORCHVISION`.
        weights: ``default`` is torchvision's default weights, but for the classifier.
        where: the convolutions that become the layer: ``stem``, ``three_by_three``, ``spatial``, or
            a glob on their names, ``layer1.*``.
    """

    name: str = "tutorial"
    weights: Literal["none", "default"] = "none"
    where: str = Field("stem", min_length=1)

    @field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        known = ("tutorial", *TORCHVISION)
        if name not in known:
            raise ValueError(unknown_name(name, known).replace("key", "network"))
        return name

    @model_validator(mode="after")
    def _has_weights(self) -> Self:
        if self.weights == "default" and self.name not in TORCHVISION:
            raise ValueError(f"{self.name} has no weights; use weights: none")
        return self

    @property
    def title(self) -> str:
        return self.name

    @property
    def has_new_stem(self) -> bool:
        """Whether the layer is a new convolution; elsewhere convolutions are converted."""
        return self.name in NEW_STEM and self.where == "stem"


class ImportedModel(Section):
    """A network of your own.

    Attributes:
        import: ``module:function``, called as ``function(image_shape, num_classes, **options)``
            with ``image_shape`` (C, H, W); it returns a :class:`torch.nn.Module`.
        options: its keyword arguments, each a setting: ``model.options.width``.
        where: see :class:`NamedModel`.
    """

    import_: Reference = Field(alias="import")
    options: dict[str, Any] = Field(default_factory=dict)
    where: str = Field("stem", min_length=1)

    @property
    def title(self) -> str:
        return self.import_

    weights: ClassVar[str] = "none"
    has_new_stem: ClassVar[bool] = False


#: How the settings begin that a network of your own takes.
OPTIONS = "model.options."
_OPTIONS = OPTIONS.rstrip(".")

#: The network around the layer under test.
ModelConfig = Annotated[
    Annotated[NamedModel, Tag("name")] | Annotated[ImportedModel, Tag("import")],
    Discriminator(
        lambda tree: (
            "import"
            if isinstance(tree, ImportedModel) or (isinstance(tree, dict) and "import" in tree)
            else "name"
        )
    ),
]


class ImportedOptimizer(Section):
    """An optimizer of torch's or your own.

    Attributes:
        import: ``module:Class``, a subclass of ``torch.optim.Optimizer``.
        options: its arguments. ``lr`` and ``weight_decay`` are added where it takes them.
    """

    import_: Reference = Field(alias="import")
    options: dict[str, Any] = Field(default_factory=dict)


AnyOptimizer = Annotated[
    Annotated[Literal["sgd", "adamw"], Tag("name")] | Annotated[ImportedOptimizer, Tag("import")],
    Discriminator(lambda tree: "name" if isinstance(tree, str) else "import"),
]


class TrainingConfig(Section):
    """Optimization and augmentation.

    Attributes:
        learning_rate: the schedule's peak.
        momentum, nesterov: of ``sgd``.
        beta1, beta2, eps: of ``adamw``.
        decay_all: whether weight decay applies to norms, biases and learned tents too.
        warmup: the share of the steps in which the rate rises to its peak.
        step_size: of ``step``, the share of the steps between two drops of the rate, each by the
            factor ``step_gamma``.
        clip_norm: gradients with a larger norm, over all parameters, are scaled down to it;
            ``None`` for no limit.
        ema: the decay of the weights' exponential moving average, which is validated and saved in
            place of the weights (0: none).
        micro_batches: number of parts each batch is computed in, to save memory; gradients are
            summed, batch normalization sees each part by itself.
        crop: random shift in pixels, each way (0: none).
        crop_scale_min, crop_scale_max: a random box of each image, whose share of the area lies in
            this range, is scaled up to the whole image (1: none).
        mixup, cutmix: alpha of the Beta distribution of these mixtures (0: none). With both, each
            batch gets one of them.
        precision: ``auto`` is bfloat16 on GPUs that have it, and float32 elsewhere.
    """

    epochs: int = Field(10, ge=1)
    batch_size: int = Field(128, ge=1)
    optimizer: AnyOptimizer = "sgd"
    learning_rate: float = Field(0.1, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    nesterov: bool = True
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    eps: float = Field(1e-8, gt=0)
    weight_decay: float = Field(5e-4, ge=0)
    decay_all: bool = True
    schedule: Literal["one_cycle", "cosine", "step", "constant"] = "one_cycle"
    warmup: float = Field(0.25, ge=0, lt=1)
    step_size: float = Field(0.3, gt=0, le=1)
    step_gamma: float = Field(0.1, gt=0, le=1)
    clip_norm: float | None = Field(None, gt=0)
    ema: float = Field(0.0, ge=0, lt=1)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    micro_batches: int = Field(1, ge=1)
    crop: int = Field(0, ge=0)
    crop_scale_min: float = Field(1.0, gt=0, le=1)
    crop_scale_max: float = Field(1.0, gt=0, le=1)
    flip: bool = True
    mixup: float = Field(0.0, ge=0)
    cutmix: float = Field(0.0, ge=0)
    channels_last: bool = True
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"

    @model_validator(mode="after")
    def _batches_can_be_split(self) -> Self:
        if self.micro_batches > self.batch_size:
            raise ValueError(
                f"micro_batches {self.micro_batches} is more than batch_size {self.batch_size}"
            )
        return self

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Self:
        if self.optimizer == "sgd" and self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs momentum above 0; set nesterov to false")
        return self

    @model_validator(mode="after")
    def _crop_scales_are_a_range(self) -> Self:
        if self.crop_scale_min > self.crop_scale_max:
            raise ValueError(
                f"crop_scale_min {self.crop_scale_min} is above crop_scale_max "
                f"{self.crop_scale_max}"
            )
        return self


#: The name of no dataset.
NO_IMAGES = "none"


class DataConfig(Section):
    """The images.

    Attributes:
        name: of a built-in dataset, one that was imported, ``torchvision/NAME``, or ``none``
            for no images, where the objective is a loop of your own.
        import: instead of a name, ``module:function``. It returns two datasets of torch's kind,
            train and test, whose items are images, by Pillow or uint8, with their labels.
        options: arguments of that function, or of a dataset of torchvision that needs some.
        size: height and width in pixels; ``None`` for the dataset's own.
        validation: the share of the training images held out for validation.
        split_seed: of the choice of those; separate from the run's seed, so that runs with other
            seeds are measured on the same images.
        train_limit, validation_limit: use at most this many images, the classes in their shares.
    """

    name: str = "cifar10"
    import_: Reference | None = Field(None, alias="import")
    options: dict[str, Any] = Field(default_factory=dict)
    size: int | None = Field(None, ge=8)
    validation: float = Field(0.1, gt=0, lt=1)
    split_seed: int = Field(0, ge=0, lt=2**32)
    train_limit: int | None = Field(None, ge=1)
    validation_limit: int | None = Field(None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _import_is_the_name(cls, tree: Any) -> Any:
        if not isinstance(tree, dict) or not isinstance(tree.get("import"), str):
            return tree
        if tree.get("name", tree["import"]) != tree["import"]:
            raise ValueError("give a name or an import, not both")
        return {**tree, "name": tree["import"]}

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        if self.import_ is None and self.name.startswith(PREFIX):
            try:
                recipe = find_set(self.name, self.options)
            except SweepsError as error:
                raise ValueError(str(error)) from None
            if recipe.varied and self.size is None:
                raise ValueError(f"the images of {self.name} differ in size; give data.size")
        elif self.import_ is None and self.options:
            raise ValueError(f"{self.name} takes no options")
        return self

    @model_serializer(mode="wrap")
    def _without_idle_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        tree: dict[str, Any] = handler(self)
        for key in ("import", "import_") if self.import_ is None else ("name",):
            tree.pop(key, None)
        if not self.options:
            tree.pop("options", None)
        return tree

    @property
    def title(self) -> str:
        """The images' part of a study's name: ``cifar10``, ``EMNIST-letters``, ``mydata-build``."""
        title = self.name.removeprefix(PREFIX).replace(":", "-")
        if self.import_ is None:
            title = "-".join([title, *map(str, self.options.values())])
        return title


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


def pixels_left(first_stride: int, size: int) -> int:
    """Return height and width, in pixels, of what reaches the tutorial network's linear layer.

    Raises:
        SweepsError: no pixel does.

    Example:
        Images of 32 pixels at stride 2 leave 4: 16 after the first layer, then 8, then 4.
    """
    # After the first layer of that stride, and two poolings.
    left = ((size - 1) // first_stride + 1) // 2 // 2
    if left == 0:
        raise SweepsError(
            f"stride {first_stride} leaves nothing of images of {size} pixels: the tutorial "
            "network needs 4 pixels after its first layer; use a smaller stride or larger images"
        )
    return left
