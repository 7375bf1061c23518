"""The exported YAML: a configuration, and where it came from."""

from typing import Any, Literal

from pydantic import AliasChoices, Field

from sweeps.export.environment import Environment
from sweeps.spec.config import (
    DataConfig,
    LayerConfig,
    ModelConfig,
    RunConfig,
    Section,
    TrainingConfig,
)
from sweeps.spec.files import dump_yaml


class ExportedData(DataConfig):
    """The images, and how to tell them from others.

    Attributes:
        fingerprint: as :class:`sweeps.data.Dataset` has it; ``None`` to train on any.
        train_images, validation_images, classes: how many there were.
    """

    fingerprint: str | None = None
    # Files of older versions have the second names.
    train_images: int | None = Field(
        None, validation_alias=AliasChoices("train_images", "train_pictures")
    )
    validation_images: int | None = Field(
        None, validation_alias=AliasChoices("validation_images", "validation_pictures")
    )
    classes: int | None = None


class Source(Section):
    """Where a configuration came from.

    Attributes:
        storage: the kind of database, ``sqlite``.
        configuration: its name, where the trial is a baseline.
        value: of the metric, after the last epoch.
        params: the searched settings as Optuna saw them.
        finished: when.
    """

    study: str
    storage: str
    trial: int
    configuration: str | None = None
    metric: Literal["val_accuracy", "val_loss"]
    value: float
    params: dict[str, Any] = Field(default_factory=dict)
    finished: str
    environment: Environment


class Exported(Section):
    """A configuration that trains without a study; written by hand, it needs no source."""

    layer: LayerConfig = LayerConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    data: ExportedData = ExportedData()
    seed: int = Field(0, ge=0, lt=2**32)
    source: Source | None = None

    def run_config(self) -> RunConfig:
        """The settings alone."""
        data = DataConfig(**self.data.model_dump(include=set(DataConfig.model_fields)))
        return RunConfig(
            layer=self.layer, model=self.model, training=self.training, data=data, seed=self.seed
        )

    def to_yaml(self) -> str:
        """As YAML, in reading order."""
        # Not as JSON, which has no lone surrogates, of which a path of odd bytes is made.
        return dump_yaml(self.model_dump())
