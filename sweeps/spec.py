"""The spec of a sweep: what a person writes in YAML, or picks as a preset."""

import re
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from sweeps.config import (
    DataConfig,
    LayerConfig,
    ModelConfig,
    RunConfig,
    Section,
    TrainingConfig,
    setting_names,
)
from sweeps.errors import SweepsError
from sweeps.search import Parameter, pick_values, search_order
from sweeps.validation import describe, load_yaml, unknown_name, validate

MetricName = Literal["val_accuracy", "val_loss"]


class Configuration(Section):
    """A configuration to try before the sampler has its say: a yardstick for the rest.

    Settings that are searched and not set here take the spec's fixed value.
    """

    name: str = Field(min_length=1)
    set: dict[str, Any] = Field(default_factory=dict)


class SamplerSpec(Section):
    """How values are picked.

    Attributes:
        startup_trials: picked at random before TPE's model is used.
    """

    name: Literal["tpe", "random"] = "tpe"
    startup_trials: int = Field(8, ge=0)


class PrunerSpec(Section):
    """How hopeless trials are stopped early.

    Attributes:
        min_epochs: no trial is stopped before it has trained so many epochs.
        reduction_factor: asha, hyperband: one in so many goes on at each rung.
        startup_trials: median: no trial is stopped before so many have finished.
    """

    name: Literal["asha", "hyperband", "median", "none"] = "asha"
    min_epochs: int = Field(1, ge=1)
    reduction_factor: int = Field(3, ge=2)
    startup_trials: int = Field(4, ge=0)


class Budget(Section):
    """When a study is done.

    Attributes:
        trials: how many the study has in all, whatever the number of workers and runs.
        minutes: how long one run starts new trials; those that run then go on to their end.
    """

    trials: int | None = Field(None, ge=1)
    minutes: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if self.trials is None and self.minutes is None:
            raise ValueError("give trials, minutes, or both: a sweep needs an end")
        return self


class Spec(Section):
    """A sweep.

    Attributes:
        fallback: the dataset to use where ``data.name`` is neither on disk nor to be downloaded.
        metric: what decides; taken on the validation pictures after the last epoch.
        layer, model, training, data, seed: the fixed values of a run's settings.
        search: the settings that are searched, by dotted name.
        try_first: the configurations that every other is compared with; they are not pruned.
    """

    name: str
    description: str = ""
    fallback: str | None = None
    metric: MetricName = "val_accuracy"
    budget: Budget
    layer: LayerConfig = LayerConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    data: DataConfig = DataConfig()
    seed: int = Field(0, ge=0)
    search: dict[str, Parameter] = Field(min_length=1)
    try_first: list[Configuration] = Field(default_factory=list)
    sampler: SamplerSpec = SamplerSpec()
    pruner: PrunerSpec = PrunerSpec()

    @model_validator(mode="after")
    def _names_are_settings(self) -> Self:
        known = setting_names()
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", self.name):
            raise ValueError(f"name {self.name!r}: use letters, digits, '.', '_' and '-'")
        for name, parameter in self.search.items():
            if name not in known:
                raise ValueError(f"search.{name}: {unknown_name(name, known)}")
            if name.startswith("data.") or name == "training.epochs":
                raise ValueError(f"search.{name}: trials could not be compared; fix it instead")
            for condition in parameter.when:
                if condition not in known:
                    raise ValueError(f"search.{name}.when: {unknown_name(condition, known)}")
        search_order(self.search)
        for configuration in self.try_first:
            for name in configuration.set:
                if name not in known:
                    where = f"try_first.{configuration.name}.set.{name}"
                    raise ValueError(f"{where}: {unknown_name(name, known)}")
        names = [configuration.name for configuration in self.try_first]
        if len(set(names)) < len(names):
            raise ValueError(f"try_first: two configurations have the same name: {names}")
        return self

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        return "minimize" if self.metric == "val_loss" else "maximize"

    def base_config(self) -> RunConfig:
        """The run's settings before anything is searched."""
        return RunConfig(
            layer=self.layer,
            model=self.model,
            training=self.training,
            data=self.data,
            seed=self.seed,
        )

    def configuration_values(self, configuration: Configuration) -> dict[str, Any]:
        """The values that one of ``try_first`` sets, by dotted name, searched settings included."""
        base = self.base_config()
        return pick_values(
            self.search, base.value, lambda name, _: base.value(name), configuration.set
        )


def preset_names() -> list[str]:
    """The specs that come with the package."""
    folder = resources.files("sweeps") / "presets"
    return sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name[-5:] == ".yaml")


def load_spec(name_or_path: str) -> Spec:
    """Read a spec: a preset by its name, or a YAML file.

    Raises:
        SweepsError: there is no such spec, or it is wrong; every mistake is told with its path.
    """
    presets = preset_names()
    if name_or_path in presets:
        text = (resources.files("sweeps") / "presets" / f"{name_or_path}.yaml").read_text("utf-8")
        return parse_spec(load_yaml(text, name_or_path), name_or_path)
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml") and not path.exists():
        raise SweepsError(
            f"{name_or_path}: {unknown_name(name_or_path, presets).replace('key', 'preset')}"
            " (a spec of your own is a .yaml file)"
        )
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise SweepsError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SweepsError(f"{path}: cannot be read: {error}") from None
    return parse_spec(load_yaml(text, str(path)), str(path))


def parse_spec(tree: dict[str, Any], source: str) -> Spec:
    """Check a spec's tree, and that every value it can search or try makes a valid run.

    Raises:
        SweepsError: it is wrong.
    """
    spec = validate(Spec, tree, source)
    base = spec.base_config()
    for name, parameter in spec.search.items():
        for value in parameter.extremes():
            # What the parameter's condition asks for is in force whenever it is searched.
            context = {on: w[0] if isinstance(w, list) else w for on, w in parameter.when.items()}
            _try(base, {**context, name: value}, f"{source}: search.{name}")
    for configuration in spec.try_first:
        values = spec.configuration_values(configuration)
        _try(base, values, f"{source}: try_first.{configuration.name}")
    return spec


def _try(base: RunConfig, values: dict[str, Any], where: str) -> None:
    try:
        base.with_values(values)
    except ValidationError as error:
        raise SweepsError(describe(error, where, RunConfig)) from None
