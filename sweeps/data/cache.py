"""A cache folder: two splits as uint8 arrays that processes map into memory, and `meta.json`."""

import datetime
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sweeps.data.contents import Fingerprint, channel_statistics
from sweeps.data.dataset import Dataset, Split
from sweeps.data.meta import Meta, read_meta, write_meta
from sweeps.errors import SweepsError

SPLITS = ("train", "test")

_CHUNK_BYTES = 16 * 2**20


def images_path(folder: Path, split: str) -> Path:
    return folder / f"{split}_images.npy"


def labels_path(folder: Path, split: str) -> Path:
    return folder / f"{split}_labels.npy"


def load_cache(folder: Path) -> Dataset | None:
    """Maps a cache folder's arrays; None where the folder holds no cache.

    Raises:
        SweepsError: the cache is damaged, unreadable or of another format.
    """
    meta = read_meta(folder)
    while meta is not None:
        dataset = _map(folder, meta)
        # An import with `replace` may swap the folder between two reads.
        after = read_meta(folder)
        if after == meta and dataset is not None:
            return dataset
        if after == meta:
            raise SweepsError(f"{folder} is damaged; remove the folder and build it again")
        meta = after
    return None


def _map(folder: Path, meta: Meta) -> Dataset | None:
    splits = {}
    try:
        for split in SPLITS:
            images = np.load(images_path(folder, split), mmap_mode="r")
            labels = np.load(labels_path(folder, split), mmap_mode="r")
            shape = (meta.counts[split], meta.size, meta.size, 3)
            if images.shape != shape or labels.shape != shape[:1]:
                return None
            if images.dtype != np.uint8 or labels.dtype != np.int64:
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
    """Writes a cache folder picture by picture, in any order.

    Pictures are written with plain file writes: unlike a write through a memory map, which ends the
    process by SIGBUS, they raise OSError on a full disk.

    Args:
        folder: exists and is empty; the caller renames it into place when done.
        name: the dataset's.
        source: `torchvision`, `import` or `patterns`.
        classes: names, in the order of the labels.
        size: height and width, in pixels.
        labels: for `train` and `test`, int [N], in the order of the rows.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        source: str,
        classes: Sequence[str],
        size: int,
        labels: dict[str, np.ndarray],
    ) -> None:
        self._folder = folder
        self._name, self._source, self.size = name, source, size
        self._classes = tuple(classes)
        self._counts = {split: len(labels[split]) for split in SPLITS}
        self._files: dict[str, int] = {}
        self._offsets: dict[str, int] = {}
        for split in SPLITS:
            np.save(labels_path(folder, split), np.asarray(labels[split], dtype=np.int64))
            with images_path(folder, split).open("wb") as file:
                shape = (self._counts[split], size, size, 3)
                header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
                self._offsets[split] = file.tell()
                file.truncate(file.tell() + int(np.prod(shape)))

            self._files[split] = os.open(images_path(folder, split), os.O_WRONLY)

    def close(self) -> None:
        """Closes the files; nothing happens the second time."""
        while self._files:
            os.close(self._files.popitem()[1])

    def write(self, split: str, row: int, images: np.ndarray) -> None:
        """Puts one picture [S, S, 3] or several [n, S, S, 3], uint8, at `row` and after."""
        picture = (self.size, self.size, 3)
        if images.dtype != np.uint8 or images.shape[-3:] != picture:
            raise ValueError(f"expected uint8 {picture}, got {images.dtype} {images.shape}")
        data = memoryview(images.tobytes())
        position = self._offsets[split] + row * self.size * self.size * 3
        while data:
            written = os.pwrite(self._files[split], data, position)
            data, position = data[written:], position + written

    def finish(self, *, fingerprint: str | None = None, base_size: int | None = None) -> Meta:
        """Computes statistics and fingerprint and writes `meta.json`; every row must be written.

        Args:
            fingerprint: the base's, for a cache made by scaling; computed when None.
            base_size: the size scaled from; None for a base cache.
        """
        for file in self._files.values():
            os.fsync(file)
        self.close()
        mean, std = channel_statistics(self._chunks("train"))
        if fingerprint is None:
            digest = Fingerprint(self._classes)
            for split in SPLITS:
                shape = (self._counts[split], self.size, self.size, 3)
                labels = np.load(labels_path(self._folder, split))
                digest.add_split(split, shape, labels, self._chunks(split))
            fingerprint = digest.hexdigest()
        meta = Meta(
            name=self._name,
            source=self._source,
            size=self.size,
            base_size=base_size or self.size,
            classes=self._classes,
            counts=self._counts,
            mean=mean,
            std=std,
            fingerprint=fingerprint,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )
        write_meta(self._folder, meta)
        return meta

    def _chunks(self, split: str) -> Iterator[np.ndarray]:
        """Reads a split's pictures some at a time, uint8 [n, S, S, 3]."""
        picture = (self.size, self.size, 3)
        rows = max(1, _CHUNK_BYTES // math.prod(picture))
        with images_path(self._folder, split).open("rb") as file:
            file.seek(self._offsets[split])
            for start in range(0, self._counts[split], rows):
                count = min(rows, self._counts[split] - start)
                chunk = np.fromfile(file, dtype=np.uint8, count=count * math.prod(picture))
                yield chunk.reshape(count, *picture)
