"""What a number was measured with: library versions, code, device, threads."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path

from pydantic import Field

from sweeps.spec.config import Section

_LIBRARIES = ("torch", "torchvision", "optuna", "numpy")


class Environment(Section):
    """Where a run took place.

    Attributes:
        device: ``cpu`` or ``cuda``.
        device_name: the device's own name.
        threads: CPU threads of the process; on a CPU, sums depend on it in their last digits.
        libraries: name to version.
        commit: of the code, with ``-dirty`` where it was changed since; ``None`` outside of git.
    """

    device: str
    device_name: str
    threads: int = Field(ge=1)
    python: str
    libraries: dict[str, str]
    commit: str | None = None


def describe_environment(device: str) -> Environment:
    """The environment of this process, training on ``cpu`` or ``cuda``."""
    import torch

    name = torch.cuda.get_device_name() if device == "cuda" else _processor()
    return Environment(
        device=device,
        device_name=name,
        threads=torch.get_num_threads(),
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
    """The commit this package's own checkout stands at; an installed package has none."""
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
