"""Datasets by name: which there are, what is known of each, and how one is opened."""

import difflib
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sweeps.data.building import building, check_target, put_in_place, track
from sweeps.data.cache import SPLITS, CacheWriter, Meta, load_cache, read_meta
from sweeps.data.dataset import Dataset
from sweeps.data.images import square
from sweeps.errors import SweepsError
from sweeps.spec.data import DataConfig
from sweeps.spec.imports import import_object
from sweeps.spec.torchvision_sets import PREFIX, SETS, find_set, nearest_set, shown_name

DOWNLOADABLE = ("cifar10", "imagenette", "stl10")
PATTERNS = "patterns"
BUILT_IN = (*DOWNLOADABLE, PATTERNS)

_PATTERNS_SIZE = 32
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
# Of what has another name than its folder, which its `meta.json` holds.
_FOLDER = re.compile(r"(torchvision|import)\.[\w.-]+")


@dataclass(frozen=True)
class DatasetInfo:
    """What `list_datasets` knows of a dataset.

    Attributes:
        name: the name it is opened by.
        on_disk: whether something of it is built.
        source: `torchvision`, `import` or `patterns`.
        sizes: built sizes in pixels, the base size first; empty when not on disk.
        train_count: images in the train split; None when not on disk.
        test_count: likewise of the test split.
        classes: class names; empty when not on disk.
        fingerprint: see `Dataset`; None when not on disk. `patterns` has another at each size, and
            this is the first size's.
    """

    name: str
    on_disk: bool
    source: str
    sizes: tuple[int, ...] = ()
    train_count: int | None = None
    test_count: int | None = None
    classes: tuple[str, ...] = ()
    fingerprint: str | None = None


def check_name(name: str) -> None:
    """Refuse a name that cannot be a dataset's folder.

    Raises:
        SweepsError: `name` is not of the form `[a-z0-9][a-z0-9_-]*`.
    """
    if not _NAME.fullmatch(name):
        raise SweepsError(
            f"{name!r} cannot be a dataset's name: use a-z, 0-9, - and _, first a letter or digit"
        )


def is_available(data: DataConfig, data_dir: Path) -> bool:
    """Whether a dataset is on disk, or drawn by this program.

    Raises:
        SweepsError: it is unknown, or is imported and cannot be.
    """
    if data.import_ is None and not data.name.startswith(PREFIX):
        on_disk = filter(_NAME.fullmatch, _folders_on_disk(data_dir))
        if data.name in (PATTERNS, *on_disk):
            return True
        if data.name not in BUILT_IN:
            raise _unknown_dataset(data.name, data_dir)
        return False
    target = data_dir / _folder(data)
    metas = [read_meta(target), read_meta(target / f"at-{data.size}")]
    if data.import_ is None and not SETS[data.name.removeprefix(PREFIX)].varied:
        return metas[0] is not None
    return any(meta is not None and data.size in (None, meta.size) for meta in metas)


def list_datasets(data_dir: Path) -> list[DatasetInfo]:
    """List the built-in datasets, on disk or not, then the others on disk, by name."""
    folders = [*BUILT_IN, *(f for f in _folders_on_disk(data_dir) if f not in BUILT_IN)]
    return [dataset_info(folder, data_dir) for folder in folders]


def dataset_info(name: str, data_dir: Path) -> DatasetInfo:
    """Describe the dataset in a folder of that name; a damaged cache counts as not on disk."""
    folder = data_dir / name
    built = [_readable_meta(f) for f in (folder, *sorted(folder.glob("at-*")))]
    metas = [meta for meta in built if meta is not None]
    if not metas:
        source = "torchvision" if name in DOWNLOADABLE else "import"
        return DatasetInfo(name, False, "patterns" if name == PATTERNS else source)
    base = metas[0]
    scaled = sorted({meta.size for meta in metas} - {base.size})
    return DatasetInfo(
        name=base.name if _FOLDER.fullmatch(name) else name,
        on_disk=True,
        source=base.source,
        sizes=(base.size, *scaled),
        train_count=base.counts["train"],
        test_count=base.counts["test"],
        classes=base.classes,
        fingerprint=base.fingerprint,
    )


def open_data(
    data: DataConfig,
    data_dir: Path,
    size: int | None = None,
    *,
    download: bool = True,
    progress: bool = True,
) -> Dataset:
    """Open what a configuration's `data` names, building it first where that is needed.

    Args:
        data: the configuration.
        data_dir: the data folder; made when something is built.
        size: in place of the configuration's.
        download: False refuses to download, and to call code that makes a dataset.
        progress: show progress on stderr.

    Raises:
        SweepsError: as `open_dataset`; or code that is imported fails, or gives another form.
    """
    size = data.size if size is None else size
    if data.import_ is None and not data.name.startswith(PREFIX):
        return open_dataset(data.name, data_dir, size, download=download, progress=progress)
    name, folder = shown_name(data.name, data.options), _folder(data)
    target = Path(data_dir) / folder

    def build(into: Path, pixels: int | None) -> None:
        if data.import_ is not None:
            from sweeps.data.items import build_from_import

            build_from_import(
                into, name, data.import_, data.options, size=pixels, progress=progress
            )
        else:
            from sweeps.data.download import build_torchvision

            build_torchvision(into, data.name, data.options, pixels, progress)

    def opened(at: Path, pixels: int | None) -> Dataset:
        if not download and load_cache(at) is None:
            raise SweepsError(
                f"{name} is not in {data_dir} at this size; `sweeps run` on this machine builds it"
            )
        return _build_once(folder, at, Path(data_dir), progress, lambda into: build(into, pixels))

    if data.import_ is None and not find_set(data.name, data.options).varied:
        return _at_size(name, opened(target, None), target, size, progress)
    # Where images differ in size each size is decoded by itself, and so with own code, of which
    # nothing is known before: a size has one fingerprint, whichever was built first.
    base = load_cache(target)
    if size is None or (base is not None and base.size == size):
        return opened(target, None)
    return opened(target / f"at-{size}", size)


def open_dataset(
    name: str,
    data_dir: Path,
    size: int | None = None,
    *,
    download: bool = True,
    progress: bool = True,
) -> Dataset:
    """Open a dataset, downloading, drawing or scaling it first where that is needed.

    Several processes may call this at once: one builds, the others wait and map the same files.
    What is on disk is opened without writing anything.

    Args:
        name: `cifar10`, `imagenette`, `stl10`, `patterns` or what was imported.
        data_dir: the data folder; made when something is built.
        size: height and width in pixels; None is the base size (32 for `patterns`). Other sizes are
            scaled down from the base size, never up; `patterns` is drawn at any size from 16.
        download: False refuses to download.
        progress: show progress on stderr.

    Raises:
        SweepsError: the dataset is unknown, is not on disk and cannot be downloaded, is smaller
            than `size`, is damaged; or the data folder is not writable or its disk full.

    Example:
        >>> dataset = open_dataset("patterns", Path("data"), 16)
        >>> dataset.train.images.shape, len(dataset.classes)
        ((6000, 16, 16, 3), 10)
    """
    data_dir = Path(data_dir)
    target = data_dir / name
    if name == PATTERNS:
        from sweeps.data.patterns import MIN_SIZE, build_patterns

        size = _PATTERNS_SIZE if size is None else size
        if size < MIN_SIZE:
            raise SweepsError(f"patterns is drawn at {MIN_SIZE} pixels or more, not at {size}")
        return _build_once(
            name,
            target / f"at-{size}",
            data_dir,
            progress,
            lambda f: build_patterns(f, size, progress),
        )
    base = load_cache(target) if _NAME.fullmatch(name) else None
    if base is None:
        if name not in DOWNLOADABLE:
            raise _unknown_dataset(name, data_dir)
        if not download:
            raise SweepsError(
                f"{name} is not in {data_dir}, and downloading is switched off; "
                f"import it with `sweeps data import {name} PATH`"
            )
        from sweeps.data.download import build_download

        base = _build_once(
            name, target, data_dir, progress, lambda f: build_download(f, name, progress)
        )
    return _at_size(name, base, target, size, progress)


def _at_size(name: str, base: Dataset, target: Path, size: int | None, progress: bool) -> Dataset:
    """Open the base in the folder `target` scaled down to `size` pixels."""
    if size is None or size == base.size:
        return base
    if size < 1:
        raise SweepsError(f"the size must be positive, not {size}")
    if size > base.size:
        raise SweepsError(
            f"{name} is {base.size} pixels wide here and is not scaled up to {size}; "
            f"ask for at most {base.size}"
        )
    return _build_once(
        target.name,
        target / f"at-{size}",
        target.parent,
        progress,
        lambda f: _scale(target, f, size, progress),
    )


def _build_once(
    folder: str, target: Path, data_dir: Path, progress: bool, build: Callable[[Path], None]
) -> Dataset:
    """Open the cache at `target`; where there is none, one process builds it first."""
    dataset = load_cache(target)
    if dataset is None:
        with building(folder, data_dir, progress) as built:
            if load_cache(target) is None:
                check_target(folder, target)
                build(built)
                put_in_place(built, target)
        dataset = load_cache(target)
    if dataset is None:
        raise SweepsError(f"{target} was removed while it was in use")
    return dataset


def _scale(base_folder: Path, folder: Path, size: int, progress: bool) -> None:
    base, meta = load_cache(base_folder), read_meta(base_folder)
    if base is None or meta is None:
        raise SweepsError(f"{base_folder} was removed while it was in use")
    splits = {"train": base.train, "test": base.test}
    total = sum(len(split) for split in splits.values())
    with CacheWriter(
        folder,
        name=meta.name,
        source=meta.source,
        classes=meta.classes,
        labels={split: splits[split].labels for split in SPLITS},
    ) as writer:
        images = ((s, row, image) for s in SPLITS for row, image in enumerate(splits[s].images))
        doing = f"scaling {meta.name} to {size} ({total:,} images)"
        for split, row, image in track(images, doing, total, progress):
            writer.write(split, row, np.asarray(square(Image.fromarray(image), size)))
        writer.finish(fingerprint=meta.fingerprint, base_size=meta.size)


def _folder(data: DataConfig) -> str:
    """The folder of a dataset of torchvision's, or of own code, one for its file and options."""
    if data.import_ is None:
        return f"torchvision.{data.title}"
    found = import_object(data.import_, "data.import")
    options = json.dumps(data.options, sort_keys=True, default=str)
    digest = hashlib.sha256(f"{found.digest} {options}".encode()).hexdigest()
    return f"import.{data.title}.{digest[:12]}"


def _folders_on_disk(data_dir: Path) -> list[str]:
    """The folders of datasets of which something is built under `data_dir`, sorted."""
    try:
        folders = [
            entry
            for entry in data_dir.iterdir()
            if _NAME.fullmatch(entry.name) or _FOLDER.fullmatch(entry.name)
        ]
    except OSError:
        return []
    found = [f.name for f in folders if any(f.glob("meta.json")) or any(f.glob("at-*/meta.json"))]
    return sorted(found)


def _readable_meta(folder: Path) -> Meta | None:
    try:
        return read_meta(folder)
    except SweepsError:
        return None


def _unknown_dataset(name: str, data_dir: Path) -> SweepsError:
    known = sorted({*BUILT_IN, *filter(_NAME.fullmatch, _folders_on_disk(data_dir))})
    near = difflib.get_close_matches(name.lower(), known, n=1)
    near = near or [known for known in [nearest_set(name)] if known]
    guess = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}, {PREFIX}NAME."
    return SweepsError(
        f"unknown dataset {name!r}; {guess} A class-folder tree of your own is added with "
        "`sweeps data import NAME PATH`"
    )
