"""The settings of training: optimization and augmentation."""

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from sweeps.spec.imports import ImportedCode
from sweeps.spec.validation import Section


class ImportedOptimizer(ImportedCode):
    """An optimizer of torch's or your own.

    ``import`` names a subclass of ``torch.optim.Optimizer``; ``lr`` and ``weight_decay`` are added
    to its options where it takes them.
    """


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
        precision: ``auto`` is bfloat16 on GPUs that have it and on CPUs that measurably train this
            network faster with it, and float32 elsewhere. Loss, norms and weights are float32.
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
