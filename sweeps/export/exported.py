"""The exported YAML: a configuration and where it came from, written and read back."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, Field

from sweeps.errors import SweepsError
from sweeps.spec.config import RunConfig
from sweeps.spec.data import DataConfig
from sweeps.spec.files import dump_yaml, load_yaml, read_text
from sweeps.spec.validation import Section, validate

_LIBRARIES = ("torch", "torchvision", "optuna", "numpy")


class Environment(Section):
    """What a number was measured with.

    Attributes:
        device: ``cpu`` or ``cuda``.
        device_name: the processor's or GPU's model.
        threads: CPU threads of the process; on a CPU, sums depend on it in their last digits.
        libraries: name to version.
        commit: of the code, with ``-dirty`` where it was changed since; ``None`` outside git.
    """

    device: str
    device_name: str
    threads: int = Field(ge=1)
    python: str
    libraries: dict[str, str]
    commit: str | None = None


class ExportedData(DataConfig):
    """The images, and how to tell them from others.

    Attributes:
        fingerprint: see :class:`sweeps.data.Dataset`; ``None`` to train on any.
        train_images, validation_images, classes: how many there were of each.
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


class DeclaredVerdict(Section):
    """What a comparison declared of an arm against another.

    Attributes:
        declaration: ``better``, ``worse``, ``equal`` within the margin, or ``not resolved``.
        difference: the mean paired difference in the metric, positive where the arm is better.
        low, high: its confidence sequence after the last seed; ``None`` before it has ends.
        probability: that a run of the arm beats one of the other.
        seeds: how many both arms have.
    """

    declaration: str
    difference: float
    low: float | None
    high: float | None
    probability: float
    seeds: int


class Confirmed(Section):
    """How a configuration did as an arm of a comparison, trained again from fresh seeds.

    Attributes:
        comparison, arm: their names.
        metric, direction: what was measured.
        mean, low, high: of the arm's runs; the ends are ``None`` before there are any.
        seeds: of its runs, a run that died among them.
        died: how many did.
        margin: the smallest difference that matters.
        error: the probability that any of the comparison's declarations is wrong.
        verdicts: by the arm that it was compared with.
    """

    comparison: str
    arm: str
    metric: str
    direction: str
    mean: float
    low: float | None
    high: float | None
    seeds: list[int]
    died: int
    margin: float
    error: float
    verdicts: dict[str, DeclaredVerdict]


class Source(Section):
    """Where a configuration came from.

    Attributes:
        storage: the kind of database, such as ``sqlite``.
        baseline: its name, where the trial is one.
        metric, value: the first objective's, after the last epoch.
        objectives: all of them, where there are several.
        metrics: whatever the last epoch measured; ``None`` where that was not finite.
        params: the searched settings as Optuna saw them.
        finished: when, ISO 8601 with the zone.
        confirmed: what a comparison found out about it; ``None`` outside of one.
    """

    study: str
    storage: str
    trial: int
    # Files of older versions have the second name.
    baseline: str | None = Field(None, validation_alias=AliasChoices("baseline", "configuration"))
    metric: str
    value: float
    objectives: dict[str, float] = Field(default_factory=dict)
    metrics: dict[str, float | None] = Field(default_factory=dict)
    params: dict[str, Any] = Field(default_factory=dict)
    finished: str
    environment: Environment
    confirmed: Confirmed | None = None


class Exported(RunConfig):
    """A configuration that trains without a study; written by hand, it needs no source.

    Attributes:
        code: the digests of the files that the configuration imports, by the key that names each.
    """

    data: ExportedData = ExportedData()
    code: dict[str, str] = Field(default_factory=dict)
    source: Source | None = None

    def run_config(self) -> RunConfig:
        """Return the settings alone."""
        settings = {name: getattr(self, name) for name in RunConfig.model_fields}
        data = DataConfig(**self.data.model_dump(include=set(DataConfig.model_fields)))
        return RunConfig(**{**settings, "data": data})

    def to_yaml(self) -> str:
        """Write YAML in reading order, a blank line before each section."""
        # Not as JSON, which has no lone surrogates, of which a path of odd bytes is made.
        unused = {name for name in ("objective", "options", "code") if not getattr(self, name)}
        tree = self.model_dump(exclude=unused)
        if self.source is not None and self.source.confirmed is None:
            del tree["source"]["confirmed"]
        return "\n".join(dump_yaml({key: value}) for key, value in tree.items())


def read_exported(path: Path) -> Exported:
    """Read an exported configuration.

    Raises:
        SweepsError: it cannot be read, or a key or a value is wrong; its path is named.
    """
    text = read_text(path, if_missing=f"`sweeps export -o {path}` writes one")
    return validate(Exported, load_yaml(text, str(path)), str(path))


def read_source(path: Path, *, force: bool) -> dict[str, Any]:
    """Read where the exported configuration in a file came from, before the file is replaced.

    Args:
        path: the file; it need not exist.
        force: accept a file that is no exported configuration: a spec, say.

    Returns:
        The keys of :class:`Source`; empty where the file does not say.

    Raises:
        SweepsError: the file is no exported configuration.
    """
    if not path.is_file():
        return {}
    try:
        tree = load_yaml(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError, SweepsError):
        tree = {}
    if "source" not in tree and not force:
        raise SweepsError(
            f"{path}: exists and is no exported configuration; name another, or replace it with "
            "--force"
        )
    source = tree.get("source")
    return source if isinstance(source, dict) else {}


def describe_environment(device: str, threads: int) -> Environment:
    """Describe the environment of this process, which trains on ``cpu`` or ``cuda``."""
    name = _processor()
    if device == "cuda":
        import torch

        name = torch.cuda.get_device_name()
    return Environment(
        device=device,
        device_name=name,
        threads=threads,
        python=platform.python_version(),
        libraries={library: importlib.metadata.version(library) for library in _LIBRARIES},
        commit=_commit(),
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> str | None:
    """Return the commit of this package's checkout; an installed package has none."""
    folder = Path(__file__).parent
    command = ["git", "-C", str(folder)]
    try:
        subprocess.run(
            [*command, "ls-files", "--error-unmatch", __file__],
            capture_output=True,
            check=True,
            timeout=10,
        )
        described = subprocess.run(
            [*command, "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None
