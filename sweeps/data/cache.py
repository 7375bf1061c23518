"""A dataset's cache folder: arrays that processes map into memory, and `meta.json`.

It holds `train_images.npy` and `test_images.npy`, uint8 [N, S, S, 3], `train_labels.npy` and
`test_labels.npy`, int64 [N]. Rows are sorted by class, then by the images' order in their source,
so that a dataset has the same fingerprint wherever it was read from.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Literal, Self

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict

from sweeps.data.dataset import Dataset, Split
from sweeps.errors import SweepsError

SPLITS = ("train", "test")

_CHUNK_BYTES = 16 * 2**20


class Meta(BaseModel):
    """The contents of `meta.json`.

    Attributes:
        name, size, classes, fingerprint, mean, std: as in `Dataset`.
        source: `torchvision`, `import` or `patterns`.
        counts: images per split.
        format: version of the layout on disk.
    """

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    name: str
    source: str
    size: int
    classes: tuple[str, ...]
    counts: dict[str, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    fingerprint: str


def read_meta(folder: Path) -> Meta | None:
    """Read `meta.json`; None where there is none.

    Raises:
        SweepsError: the file is damaged, unreadable or of another format.
    """
    path = folder / "meta.json"
    try:
        return Meta.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SweepsError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise SweepsError(
            f"{path} is damaged, or of another release; remove the folder and build it again"
        ) from error


def load_cache(folder: Path) -> Dataset | None:
    """Map a cache folder's arrays; None where the folder holds no cache.

    Raises:
        SweepsError: the cache is damaged, unreadable or of another format.
    """
    meta = read_meta(folder)
    if meta is None:
        return None
    dataset = _map_arrays(folder, meta)
    if read_meta(folder) != meta:
        # An import with `replace` swapped the folder meanwhile.
        return load_cache(folder)
    if dataset is None:
        raise SweepsError(f"{folder} is damaged; remove the folder and build it again")
    return dataset


def _map_arrays(folder: Path, meta: Meta) -> Dataset | None:
    splits = {}
    try:
        for split in SPLITS:
            images = np.load(_path(folder, split, "images"), mmap_mode="r")
            labels = np.load(_path(folder, split, "labels"), mmap_mode="r")
            count = meta.counts[split]
            if (images.shape, labels.shape) != ((count, meta.size, meta.size, 3), (count,)):
                return None
            if (images.dtype, labels.dtype) != (np.uint8, np.int64):
                return None
            splits[split] = Split(images, labels)
    except PermissionError as error:
        raise SweepsError(f"cannot read {folder}: {error.strerror}") from error
    except (OSError, ValueError, EOFError):
        return None
    return Dataset(
        name=meta.name,
        size=meta.size,
        classes=meta.classes,
        fingerprint=meta.fingerprint,
        mean=meta.mean,
        std=meta.std,
        train=splits["train"],
        test=splits["test"],
    )


class CacheWriter:
    """Write a cache folder image by image, in any order; a context manager that closes its files.

    Unlike a write through a memory map, which ends the process by SIGBUS on a full disk, the plain
    writes here raise OSError.

    Args:
        folder: exists and is empty; the caller renames it into place when done.
        name: the dataset's.
        source: see `Meta`.
        classes: names, in the order of the labels.
        labels: for `train` and `test`, int [N], in the order of the rows.

    Attributes:
        size: height and width of the images, in pixels; 0 before the first one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        source: str,
        classes: Sequence[str],
        labels: Mapping[str, np.ndarray],
    ) -> None:
        self._folder, self._name, self._source = folder, name, source
        self._classes, self._labels = tuple(classes), labels
        self._files: dict[str, IO[bytes]] = {}
        self._offsets: dict[str, int] = {}
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()

    def write(self, split: str, row: int, images: np.ndarray) -> None:
        """Put one image [S, S, 3] or several [n, S, S, 3], uint8, at `row` and after."""
        if self.size == 0:
            self._create(images.shape[-2])
        shape = (self.size, self.size, 3)
        if images.dtype != np.uint8 or images.shape[-3:] != shape:
            raise ValueError(f"expected uint8 {shape}, got {images.dtype} {images.shape}")
        file = self._files[split]
        file.seek(self._offsets[split] + row * math.prod(shape))
        file.write(images.tobytes())

    def _create(self, size: int) -> None:
        self.size = size
        for split in SPLITS:
            labels = np.asarray(self._labels[split], dtype=np.int64)
            np.save(_path(self._folder, split, "labels"), labels)
            file = self._files[split] = _path(self._folder, split, "images").open("wb")
            shape = (len(labels), size, size, 3)
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            self._offsets[split] = file.tell()
            file.truncate(file.tell() + math.prod(shape))

    def finish(self, fingerprint: str | None = None) -> Meta:
        """Compute statistics and fingerprint and write `meta.json`; every row must be written.

        Args:
            fingerprint: the base's, for a cache made by scaling; computed when None.
        """
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        mean, std = _channel_statistics(self._chunks("train"))
        meta = Meta(
            name=self._name,
            source=self._source,
            size=self.size,
            classes=self._classes,
            counts={split: len(self._labels[split]) for split in SPLITS},
            mean=mean,
            std=std,
            fingerprint=fingerprint or self._fingerprint(),
        )
        (self._folder / "meta.json").write_text(meta.model_dump_json(indent=2) + "\n", "utf-8")
        return meta

    def _chunks(self, split: str) -> Iterator[np.ndarray]:
        """Read a split's images some at a time, uint8 [n, S, S, 3]."""
        rows = max(1, _CHUNK_BYTES // (self.size**2 * 3))
        with _path(self._folder, split, "images").open("rb") as file:
            file.seek(self._offsets[split])
            while len(chunk := np.fromfile(file, np.uint8, rows * self.size**2 * 3)):
                yield chunk.reshape(-1, self.size, self.size, 3)

    def _fingerprint(self) -> str:
        """Hash classes, labels and images."""
        digest = hashlib.sha256(json.dumps(list(self._classes)).encode("ascii"))
        for split in SPLITS:
            labels = np.asarray(self._labels[split])
            shape = (len(labels), self.size, self.size, 3)
            digest.update(f"{split} {shape}".encode("ascii"))
            digest.update(labels.astype("<i8").tobytes())
            for chunk in self._chunks(split):
                digest.update(chunk.tobytes())
        return f"sha256:{digest.hexdigest()[:16]}"


def _path(folder: Path, split: str, kind: str) -> Path:
    return folder / f"{split}_{kind}.npy"


_Channels = tuple[float, float, float]


def _channel_statistics(chunks: Iterator[np.ndarray]) -> tuple[_Channels, _Channels]:
    """Mean and standard deviation per channel, in 0..1, of uint8 images [n, S, S, 3] in chunks.

    Counted in integers, so that the result is the same on every machine.
    """
    counts = np.zeros(768, dtype=np.int64)
    for chunk in chunks:
        # Several times as fast as numpy's bincount, which widens every byte to eight.
        counts += Image.fromarray(chunk.reshape(-1, chunk.shape[2], 3)).histogram()
    means, stds = [], []
    for levels in counts.reshape(3, 256).tolist():
        total = max(sum(levels), 1)
        first = sum(value * count for value, count in enumerate(levels))
        second = sum(value * value * count for value, count in enumerate(levels))
        means.append(first / total / 255)
        stds.append(math.sqrt(total * second - first * first) / total / 255)
    return (means[0], means[1], means[2]), (stds[0], stds[1], stds[2])
