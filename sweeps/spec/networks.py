"""The networks that a spec can name, known without importing torch."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from sweeps.errors import SweepsError
from sweeps.spec.imports import ImportedCode, kind_of
from sweeps.spec.layer import per_axis
from sweeps.spec.validation import Section, unknown_name

#: The networks whose stem is replaced by a new convolution; other convolutions are converted.
NEW_STEM = ("tutorial", "resnet18")

#: torchvision's classification networks: trained values for 1000 classes, and the stem.
TORCHVISION: dict[str, tuple[int, str]] = {
    "alexnet": (61_100_840, "11x11, stride 4"),
    "convnext_base": (88_591_464, "4x4, stride 4"),
    "convnext_large": (197_767_336, "4x4, stride 4"),
    "convnext_small": (50_223_688, "4x4, stride 4"),
    "convnext_tiny": (28_589_128, "4x4, stride 4"),
    "densenet121": (7_978_856, "7x7, stride 2"),
    "densenet161": (28_681_000, "7x7, stride 2"),
    "densenet169": (14_149_480, "7x7, stride 2"),
    "densenet201": (20_013_928, "7x7, stride 2"),
    "efficientnet_b0": (5_288_548, "3x3, stride 2"),
    "efficientnet_b1": (7_794_184, "3x3, stride 2"),
    "efficientnet_b2": (9_109_994, "3x3, stride 2"),
    "efficientnet_b3": (12_233_232, "3x3, stride 2"),
    "efficientnet_b4": (19_341_616, "3x3, stride 2"),
    "efficientnet_b5": (30_389_784, "3x3, stride 2"),
    "efficientnet_b6": (43_040_704, "3x3, stride 2"),
    "efficientnet_b7": (66_347_960, "3x3, stride 2"),
    "efficientnet_v2_l": (118_515_272, "3x3, stride 2"),
    "efficientnet_v2_m": (54_139_356, "3x3, stride 2"),
    "efficientnet_v2_s": (21_458_488, "3x3, stride 2"),
    "googlenet": (13_004_888, "7x7, stride 2"),
    "inception_v3": (27_161_264, "3x3, stride 2"),
    "maxvit_t": (30_919_624, "3x3, stride 2"),
    "mnasnet0_5": (2_218_512, "3x3, stride 2"),
    "mnasnet0_75": (3_170_208, "3x3, stride 2"),
    "mnasnet1_0": (4_383_312, "3x3, stride 2"),
    "mnasnet1_3": (6_282_256, "3x3, stride 2"),
    "mobilenet_v2": (3_504_872, "3x3, stride 2"),
    "mobilenet_v3_large": (5_483_032, "3x3, stride 2"),
    "mobilenet_v3_small": (2_542_856, "3x3, stride 2"),
    "regnet_x_16gf": (54_278_536, "3x3, stride 2"),
    "regnet_x_1_6gf": (9_190_136, "3x3, stride 2"),
    "regnet_x_32gf": (107_811_560, "3x3, stride 2"),
    "regnet_x_3_2gf": (15_296_552, "3x3, stride 2"),
    "regnet_x_400mf": (5_495_976, "3x3, stride 2"),
    "regnet_x_800mf": (7_259_656, "3x3, stride 2"),
    "regnet_x_8gf": (39_572_648, "3x3, stride 2"),
    "regnet_y_128gf": (644_812_894, "3x3, stride 2"),
    "regnet_y_16gf": (83_590_140, "3x3, stride 2"),
    "regnet_y_1_6gf": (11_202_430, "3x3, stride 2"),
    "regnet_y_32gf": (145_046_770, "3x3, stride 2"),
    "regnet_y_3_2gf": (19_436_338, "3x3, stride 2"),
    "regnet_y_400mf": (4_344_144, "3x3, stride 2"),
    "regnet_y_800mf": (6_432_512, "3x3, stride 2"),
    "regnet_y_8gf": (39_381_472, "3x3, stride 2"),
    "resnet101": (44_549_160, "7x7, stride 2"),
    "resnet152": (60_192_808, "7x7, stride 2"),
    "resnet18": (11_689_512, "7x7, stride 2"),
    "resnet34": (21_797_672, "7x7, stride 2"),
    "resnet50": (25_557_032, "7x7, stride 2"),
    "resnext101_32x8d": (88_791_336, "7x7, stride 2"),
    "resnext101_64x4d": (83_455_272, "7x7, stride 2"),
    "resnext50_32x4d": (25_028_904, "7x7, stride 2"),
    "shufflenet_v2_x0_5": (1_366_792, "3x3, stride 2"),
    "shufflenet_v2_x1_0": (2_278_604, "3x3, stride 2"),
    "shufflenet_v2_x1_5": (3_503_624, "3x3, stride 2"),
    "shufflenet_v2_x2_0": (7_393_996, "3x3, stride 2"),
    "squeezenet1_0": (1_248_424, "7x7, stride 2"),
    "squeezenet1_1": (1_235_496, "3x3, stride 2"),
    "swin_b": (87_768_224, "4x4, stride 4"),
    "swin_s": (49_606_258, "4x4, stride 4"),
    "swin_t": (28_288_354, "4x4, stride 4"),
    "swin_v2_b": (87_930_848, "4x4, stride 4"),
    "swin_v2_s": (49_737_442, "4x4, stride 4"),
    "swin_v2_t": (28_351_570, "4x4, stride 4"),
    "vgg11": (132_863_336, "3x3, stride 1"),
    "vgg11_bn": (132_868_840, "3x3, stride 1"),
    "vgg13": (133_047_848, "3x3, stride 1"),
    "vgg13_bn": (133_053_736, "3x3, stride 1"),
    "vgg16": (138_357_544, "3x3, stride 1"),
    "vgg16_bn": (138_365_992, "3x3, stride 1"),
    "vgg19": (143_667_240, "3x3, stride 1"),
    "vgg19_bn": (143_678_248, "3x3, stride 1"),
    "vit_b_16": (86_567_656, "16x16, stride 16"),
    "vit_b_32": (88_224_232, "32x32, stride 32"),
    "vit_h_14": (632_045_800, "14x14, stride 14"),
    "vit_l_16": (304_326_632, "16x16, stride 16"),
    "vit_l_32": (306_535_400, "32x32, stride 32"),
    "wide_resnet101_2": (126_886_696, "7x7, stride 2"),
    "wide_resnet50_2": (68_883_240, "7x7, stride 2"),
}


class NamedModel(Section):
    """A network that comes with the project or with torchvision.

    Attributes:
        name: ``tutorial``, or one of :data:`TORCHVISION`.
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
            raise ValueError(unknown_name(name, known, "network"))
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


class ImportedModel(ImportedCode):
    """A network of your own.

    Attributes:
        import: ``module:function``, called as ``function(image_shape, num_classes, **options)``
            with ``image_shape`` (C, H, W); it returns a :class:`torch.nn.Module`.
        options: its keyword arguments, each a setting: ``model.options.width``.
        where: see :class:`NamedModel`.
    """

    where: str = Field("stem", min_length=1)

    @property
    def title(self) -> str:
        return self.import_

    weights: ClassVar[str] = "none"
    has_new_stem: ClassVar[bool] = False


#: The network around the layer under test.
ModelConfig = Annotated[
    Annotated[NamedModel, Tag("name")] | Annotated[ImportedModel, Tag("import")],
    Discriminator(lambda tree: "import" if kind_of(tree) == "import" else "name"),
]


def pixels_left(first_stride: int | tuple[int, int], size: int) -> tuple[int, int]:
    """Return height and width, in pixels, of what reaches the tutorial network's linear layer.

    Raises:
        SweepsError: no pixel does.

    Example:
        Images of 32 pixels at stride 2 leave 4 x 4: 16 after the first layer, then 8, then 4.
    """
    strides = per_axis(first_stride)
    # After the first layer of that stride, and two poolings.
    height, width = (((size - 1) // stride + 1) // 2 // 2 for stride in strides)
    if height * width == 0:
        raise SweepsError(
            f"stride {max(strides)} leaves nothing of images of {size} pixels: the tutorial "
            "network needs 4 pixels after its first layer; use a smaller stride or larger images"
        )
    return height, width
