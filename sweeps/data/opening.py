"""Opening a dataset by name, building what is missing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from sweeps.data.building import build_lock, put_in_place, temporary_folder
from sweeps.data.cache import SPLITS, CacheWriter, load_cache
from sweeps.data.dataset import Dataset
from sweeps.data.meta import read_meta
from sweeps.data.names import DOWNLOADABLE, PATTERNS, check_name, unknown_dataset
from sweeps.data.pictures import square
from sweeps.data.progress import progress_bar
from sweeps.errors import SweepsError

PATTERNS_SIZE = 32


def open_dataset(
    name: str,
    data_dir: Path,
    size: int | None = None,
    *,
    download: bool = True,
    progress: bool = True,
) -> Dataset:
    """Opens a dataset, downloading, drawing or scaling it first where that is needed.

    Several processes may call this at once: one builds, the others wait and map the same files.
    What is on disk already is opened without writing anything.

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
    """
    data_dir = Path(data_dir)
    if name == PATTERNS:
        return _open_patterns(data_dir, PATTERNS_SIZE if size is None else size, progress)
    base = load_cache(data_dir / name) if _is_name(name) else None
    if base is None:
        if name not in DOWNLOADABLE:
            raise unknown_dataset(name, data_dir)
        base = _download(name, data_dir, download, progress)
    if size is None or size == base.size:
        return base
    if size < 1:
        raise SweepsError(f"the size must be positive, not {size}")
    if size > base.size:
        raise SweepsError(
            f"{name} is {base.size} pixels wide here and is not scaled up to {size}; "
            f"ask for at most {base.size}"
        )
    return _open_scaled(name, data_dir, size, progress)


def _is_name(name: str) -> bool:
    try:
        check_name(name)
    except SweepsError:
        return False
    return True


def _open_patterns(data_dir: Path, size: int, progress: bool) -> Dataset:
    from sweeps.data.patterns import MIN_SIZE, build_patterns

    if size < MIN_SIZE:
        raise SweepsError(f"patterns is drawn at {MIN_SIZE} pixels or more, not at {size}")
    target = data_dir / PATTERNS / f"at-{size}"
    return _build_once(
        PATTERNS, data_dir, target, progress, lambda folder: build_patterns(folder, size, progress)
    )


def _download(name: str, data_dir: Path, download: bool, progress: bool) -> Dataset:
    from sweeps.data.downloading import build_download

    target = data_dir / name
    if not download:
        raise SweepsError(
            f"{name} is not in {data_dir}, and downloading is switched off; "
            f"import it with `sweeps data import {name} PATH`"
        )

    def build(folder: Path) -> None:
        if target.exists():
            raise SweepsError(
                f"{target} is in the way: it is no dataset that this program built; move it "
                f"elsewhere, or import it from there with `sweeps data import {name} PATH`"
            )
        build_download(folder, name, progress)

    return _build_once(name, data_dir, target, progress, build)


def _open_scaled(name: str, data_dir: Path, size: int, progress: bool) -> Dataset:
    target = data_dir / name / f"at-{size}"
    return _build_once(
        name,
        data_dir,
        target,
        progress,
        lambda folder: _scale(data_dir / name, folder, size, progress),
    )


def _build_once(
    name: str, data_dir: Path, target: Path, progress: bool, build: Callable[[Path], None]
) -> Dataset:
    """What stands at `target`; built first, by one process, where nothing does."""
    dataset = load_cache(target)
    if dataset is None:
        with build_lock(name, data_dir, progress):
            if load_cache(target) is None:
                with temporary_folder(name, data_dir) as folder:
                    build(folder)
                    put_in_place(folder, target)
        dataset = load_cache(target)
    return _built(dataset, target)


def _scale(base_folder: Path, folder: Path, size: int, progress: bool) -> None:
    base, meta = load_cache(base_folder), read_meta(base_folder)
    if base is None or meta is None:
        raise SweepsError(f"{base_folder} was removed while it was in use")
    splits = {"train": base.train, "test": base.test}
    writer = CacheWriter(
        folder,
        name=meta.name,
        source=meta.source,
        classes=meta.classes,
        size=size,
        labels={split: splits[split].labels for split in SPLITS},
    )
    total = sum(len(split) for split in splits.values())
    try:
        with progress_bar(f"scaling {meta.name} to {size}", total, progress) as advance:
            for split in SPLITS:
                for row, image in enumerate(splits[split].images):
                    writer.write(split, row, np.asarray(square(Image.fromarray(image), size)))
                    advance()
        writer.finish(fingerprint=meta.fingerprint, base_size=meta.size)
    finally:
        writer.close()


def _built(dataset: Dataset | None, folder: Path) -> Dataset:
    if dataset is None:
        raise SweepsError(f"{folder} was removed while it was in use")
    return dataset
