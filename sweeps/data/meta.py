"""`meta.json`: what a cache folder says about its arrays."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from sweeps.errors import SweepsError

FORMAT = 1
FILE_NAME = "meta.json"


@dataclass(frozen=True)
class Meta:
    """The contents of `meta.json`.

    Attributes:
        name, size, classes, fingerprint, mean, std: as in `Dataset`.
        source: `torchvision`, `import` or `patterns`.
        base_size: the size the pictures were scaled down from; equals `size` in a base cache.
        counts: pictures per split, `train` and `test`.
        created: when it was built, ISO 8601 with the zone.
        format: version of the layout on disk.
    """

    name: str
    source: str
    size: int
    base_size: int
    classes: tuple[str, ...]
    counts: dict[str, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    fingerprint: str
    created: str
    format: int = FORMAT


def write_meta(folder: Path, meta: Meta) -> None:
    """Writes `folder/meta.json`."""
    fields = {"format": meta.format, **asdict(meta)}
    (folder / FILE_NAME).write_text(json.dumps(fields, indent=2) + "\n", encoding="ascii")


def read_meta(folder: Path) -> Meta | None:
    """Reads `folder/meta.json`; None where there is none.

    Raises:
        SweepsError: the file is damaged, unreadable or of another format.
    """
    try:
        fields = json.loads((folder / FILE_NAME).read_text(encoding="ascii"))
        version = fields["format"]
        if version != FORMAT:
            raise SweepsError(
                f"{folder} is in format {version}, this program reads {FORMAT}; "
                "remove the folder and build it again"
            )
        for key in ("classes", "mean", "std"):
            fields[key] = tuple(fields[key])
        return Meta(**fields)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SweepsError(f"cannot read {folder / FILE_NAME}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise SweepsError(
            f"{folder / FILE_NAME} is damaged; remove the folder and build it again"
        ) from error
