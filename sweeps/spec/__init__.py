"""What people write: specs, settings, search spaces, presets; checked before anything starts."""

from importlib import resources
from pathlib import Path


def shipped_names(folder: str) -> list[str]:
    """Return the names of the YAML files in a folder of this package."""
    files = (resources.files(__name__) / folder).iterdir()
    return sorted(Path(file.name).stem for file in files if file.name.endswith(".yaml"))
