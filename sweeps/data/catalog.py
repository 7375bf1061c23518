"""Datasets by name: which there are, what is known of each, and how one is opened."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from sweeps.data.building import building, check_target, put_in_place, track
from sweeps.data.cache import SPLITS, CacheWriter, Meta, load_cache, read_meta
from sweeps.data.dataset import Dataset
from sweeps.data.images import square
from sweeps.errors import DatasetUnavailable, SweepsError
from sweeps.spec.data import DataConfig
from sweeps.spec.imports import import_object
from sweeps.spec.torchvision_sets import PREFIX, find_set, nearest_set, shown_name

DOWNLOADABLE = ("cifar10", "imagenette", "stl10")
PATTERNS = "patterns"
BUILT_IN = (*DOWNLOADABLE, PATTERNS)

_PATTERNS_SIZE = 32
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


def check_name(name: str) -> None:
    """Refuse a name that cannot be a dataset's folder.

    Raises:
        SweepsError: `name` is not of the form `[a-z0-9][a-z0-9_-]*`.
    """
    if not _NAME.fullmatch(name):
        raise SweepsError(
            f"{name!r} cannot be a dataset's name: use a-z, 0-9, - and _, first a letter or digit"
        )


def list_datasets(data_dir: Path) -> list[tuple[str, list[Meta]]]:
    """List the built-in datasets, on disk or not, then the others on disk, by name.

    Returns:
        For each its name, and what is built of it, the base first; damaged caches are left out.
    """
    built = [(name, _built_sizes(data_dir / name)) for name in BUILT_IN]
    for folder in _folders_on_disk(data_dir):
        metas = _built_sizes(folder)
        # What has another name than its folder has it in its `meta.json`.
        named = _NAME.fullmatch(folder.name) or not metas
        if folder.name not in BUILT_IN:
            built.append((folder.name if named else metas[0].name, metas))
    return built


def _built_sizes(folder: Path) -> list[Meta]:
    """Return what is built in a dataset's folder: the base, then what was made by scaling."""
    metas = [_readable_meta(folder), *map(_readable_meta, folder.glob("at-*"))]
    base, *scaled = metas
    found = sorted((meta for meta in scaled if meta), key=lambda meta: meta.size)
    return [base, *found] if base else found


def open_data(
    data: DataConfig,
    data_dir: Path,
    size: int | None = None,
    *,
    download: bool = True,
) -> Dataset:
    """Open what a configuration's `data` names; download, draw, decode or scale it first if needed.

    Several processes may call this at once: one builds, the others wait and map the same files.
    What is on disk is opened without writing anything.

    Args:
        data: the configuration. Without a size it is the dataset's own, 32 for `patterns`. Other
            sizes are scaled down, never up. Each size is drawn or decoded by itself where there is
            none to scale: of `patterns`, of own code, and of torchvision's sets of many sizes.
        data_dir: the data folder; made when something is built.
        size: in place of the configuration's.
        download: False refuses to download, and to call code that makes a dataset.

    Raises:
        DatasetUnavailable: the dataset is not on disk, and is not downloaded or cannot be.
        SweepsError: the dataset is unknown, is smaller than the size, is damaged; code that is
            imported fails, or gives another form; or the data folder is not writable or its disk
            full.

    Example:
        >>> dataset = open_data(DataConfig(name="patterns"), Path("data"), 16)
        >>> dataset.train.images.shape, len(dataset.classes)
        ((6000, 16, 16, 3), 10)
    """
    size = data.size if size is None else size
    if size is None and data.name == PATTERNS:
        size = _PATTERNS_SIZE
    name = shown_name(data.name, data.options)
    folder = data_dir / _folder(data, data_dir)

    def opened(target: Path, pixels: int | None) -> Dataset:
        if not download and data.name != PATTERNS and load_cache(target) is None:
            raise DatasetUnavailable(
                f"{name} is not in {data_dir} at this size; `sweeps run` on this machine builds it"
                + (f", or `sweeps data import {name} PATH`" if name in DOWNLOADABLE else "")
            )
        return _build_once(folder.name, target, data_dir, lambda f: _build(data, f, pixels))

    if _is_scaled(data):
        return _at_size(name, opened(folder, None), folder, size)
    base = load_cache(folder)
    if size is None or (base is not None and base.size == size):
        return opened(folder, None)
    return opened(folder / f"at-{size}", size)


def _is_scaled(data: DataConfig) -> bool:
    """Whether a dataset has a size of its own, from which the others are scaled."""
    if data.import_ is not None or data.name == PATTERNS:
        return False
    return not data.name.startswith(PREFIX) or not find_set(data.name, data.options).varied


def _build(data: DataConfig, folder: Path, size: int | None) -> None:
    """Fill the empty cache folder `folder`."""
    name = shown_name(data.name, data.options)
    if data.import_ is not None:
        from sweeps.data.items import build_from_import

        build_from_import(folder, name, data.import_, data.options, size=size)
    elif data.name == PATTERNS:
        from sweeps.data.patterns import build_patterns

        assert size is not None
        build_patterns(folder, size)
    else:
        from sweeps.data.download import build_download

        build_download(folder, data.name, data.options, size)


def _at_size(name: str, base: Dataset, target: Path, size: int | None) -> Dataset:
    """Open the base in the folder `target` scaled down to `size` pixels."""
    if size is None or size == base.size:
        return base
    if size > base.size:
        raise SweepsError(
            f"{name} is {base.size} pixels wide here and is not scaled up to {size}; "
            f"ask for at most {base.size}"
        )
    return _build_once(
        target.name,
        target / f"at-{size}",
        target.parent,
        lambda f: _scale(target, f, size),
    )


def _build_once(
    folder: str, target: Path, data_dir: Path, build: Callable[[Path], None]
) -> Dataset:
    """Open the cache at `target`; where there is none, one process builds it first."""
    dataset = load_cache(target)
    if dataset is None:
        with building(folder, data_dir) as built:
            if load_cache(target) is None:
                check_target(folder, target)
                build(built)
                put_in_place(built, target)
        dataset = load_cache(target)
    if dataset is None:
        raise SweepsError(f"{target} was removed while it was in use")
    return dataset


def _scale(base_folder: Path, folder: Path, size: int) -> None:
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
        for split, row, image in track(images, doing, total):
            writer.write(split, row, np.asarray(square(Image.fromarray(image), size)))
        writer.finish(fingerprint=meta.fingerprint)


def _folder(data: DataConfig, data_dir: Path) -> str:
    """Return the name of a dataset's folder; own code has one for each file and options.

    Raises:
        SweepsError: the dataset is unknown, or is imported and cannot be.
    """
    if data.import_ is not None:
        found = import_object(data.import_, "data.import")
        options = json.dumps(data.options, sort_keys=True, default=str)
        digest = hashlib.sha256(f"{found.digest} {options}".encode()).hexdigest()
        return f"import.{data.title}.{digest[:12]}"
    if data.name.startswith(PREFIX):
        return f"torchvision.{data.title}"
    imported = _NAME.fullmatch(data.name) and read_meta(data_dir / data.name)
    if data.name not in BUILT_IN and not imported:
        raise _unknown_dataset(data.name, data_dir)
    return data.name


def _folders_on_disk(data_dir: Path) -> list[Path]:
    """Return the folders of the datasets of which something is built, sorted."""
    bases, scaled = data_dir.glob("[!.]*/meta.json"), data_dir.glob("[!.]*/at-*/meta.json")
    return sorted({*(path.parent for path in bases), *(path.parents[1] for path in scaled)})


def _readable_meta(folder: Path) -> Meta | None:
    try:
        return read_meta(folder)
    except SweepsError:
        return None


def _unknown_dataset(name: str, data_dir: Path) -> SweepsError:
    on_disk = (folder.name for folder in _folders_on_disk(data_dir))
    known = sorted({*BUILT_IN, *filter(_NAME.fullmatch, on_disk)})
    near = nearest_set(name, known)
    guess = f"did you mean {near}?" if near else f"there are: {', '.join(known)}, {PREFIX}NAME"
    return SweepsError(
        f"data.name: no such dataset; {guess} (given: {name!r}; `sweeps data import NAME PATH` "
        "adds one of your own)"
    )
