"""Which datasets there are, and what is known about each."""

from pathlib import Path

from sweeps.data.dataset import DatasetInfo
from sweeps.data.meta import Meta, read_meta
from sweeps.data.names import BUILT_IN, PATTERNS, names_on_disk
from sweeps.errors import SweepsError


def is_available(name: str, data_dir: Path) -> bool:
    """Whether `open_dataset` needs no download: it is on disk, or drawn by this program."""
    return name == PATTERNS or name in names_on_disk(data_dir)


def list_datasets(data_dir: Path) -> list[DatasetInfo]:
    """The built-in datasets, on disk or not, then the others on disk, by name."""
    names = [*BUILT_IN, *(name for name in names_on_disk(data_dir) if name not in BUILT_IN)]
    return [dataset_info(name, data_dir) for name in names]


def dataset_info(name: str, data_dir: Path) -> DatasetInfo:
    """What is known about one dataset; a damaged cache counts as not on disk."""
    folder = data_dir / name
    built = [_readable_meta(f) for f in (folder, *sorted(folder.glob("at-*")))]
    metas = [meta for meta in built if meta is not None]
    if not metas:
        return DatasetInfo(name, False, _source(name))
    base = metas[0]
    scaled = sorted({meta.size for meta in metas} - {base.size})
    return DatasetInfo(
        name=name,
        on_disk=True,
        source=base.source,
        sizes=(base.size, *scaled),
        train_count=base.counts["train"],
        test_count=base.counts["test"],
        classes=base.classes,
        fingerprint=base.fingerprint,
    )


def _readable_meta(folder: Path) -> Meta | None:
    try:
        return read_meta(folder)
    except SweepsError:
        return None


def _source(name: str) -> str:
    if name == PATTERNS:
        return "patterns"
    return "torchvision" if name in BUILT_IN else "import"
