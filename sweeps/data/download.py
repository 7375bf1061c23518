"""Datasets that torchvision downloads, checks and unpacks, made into caches."""

import contextlib
import errno
import http.client
import os
import shutil
import socket
import sys
import tarfile
import urllib.error
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from sweeps.data.building import note
from sweeps.data.cache import SPLITS, CacheWriter
from sweeps.data.importing import build_from_tree
from sweeps.errors import DatasetUnavailable

_IMAGENETTE_SIZE = 224
# How long a silent network is waited for.
_TIMEOUT_SECONDS = 20.0

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}
_WRONG_ARCHIVE = (
    *(RuntimeError, ValueError, KeyError),
    *(tarfile.TarError, EOFError, zlib.error, http.client.HTTPException),
)


def build_download(folder: Path, name: str, progress: bool) -> None:
    """Download `cifar10`, `imagenette` or `stl10` and fill the empty cache folder `folder`.

    The archive and its files are kept in `folder` until the cache is built, then removed.
    `imagenette` is the 320-pixel version, scaled and cropped to 224 as an import of that archive
    would be.

    Raises:
        DatasetUnavailable: there is no internet, or what came was not the archive.
    """
    root = folder / "download"
    root.mkdir()
    if name == "imagenette":
        with _downloading(name, progress):
            from torchvision.datasets import Imagenette

            Imagenette(root, split="train", size="320px", download=True)
        tree = next(path for path in root.iterdir() if path.is_dir())
        build_from_tree(
            folder,
            name,
            tree,
            size=_IMAGENETTE_SIZE,
            source="torchvision",
            progress=progress,
        )
    else:
        with _downloading(name, progress):
            splits = {split: _load(name, root, split) for split in SPLITS}
        _write(folder, name, splits)
    shutil.rmtree(root)


_Loaded = tuple[list[str], np.ndarray, np.ndarray]


def _load(name: str, root: Path, split: str) -> _Loaded:
    """Download one split: its classes, images uint8 [N, S, S, 3], and labels."""
    from torchvision.datasets import CIFAR10, STL10

    if name == "cifar10":
        cifar10 = CIFAR10(root, train=split == "train", download=True)
        return cifar10.classes, cifar10.data, np.asarray(cifar10.targets)
    stl10 = STL10(root, split=split, download=True)
    return stl10.classes, stl10.data.transpose(0, 2, 3, 1), stl10.labels


def _write(folder: Path, name: str, splits: dict[str, _Loaded]) -> None:
    orders = {split: np.argsort(labels, kind="stable") for split, (*_, labels) in splits.items()}
    labels = {split: labels[orders[split]] for split, (*_, labels) in splits.items()}
    classes = splits["train"][0]
    with CacheWriter(
        folder, name=name, source="torchvision", classes=classes, labels=labels
    ) as writer:
        for split, (_, images, _) in splits.items():
            for row, index in enumerate(orders[split]):
                writer.write(split, row, images[index])
        writer.finish()


@contextlib.contextmanager
def _downloading(name: str, progress: bool) -> Iterator[None]:
    """Bound how long a silent network is waited for, keep stdout clean, and explain failures."""
    remedy = f"where there is no internet, `sweeps data import {name} PATH` takes an archive"
    note(f"downloading {name}", progress)
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT_SECONDS)
    try:
        with contextlib.ExitStack() as stack:
            shown: IO[str] = sys.stderr
            if not (progress and sys.stderr.isatty()):
                # A progress bar in a log file is a line for every update.
                shown = stack.enter_context(open(os.devnull, "w"))
                stack.enter_context(contextlib.redirect_stderr(shown))
            stack.enter_context(contextlib.redirect_stdout(shown))
            yield
    except OSError as error:
        if error.errno in _DISK:
            raise
        # Of HTTP's errors the status says more than the reason.
        is_http = isinstance(error, urllib.error.HTTPError)
        reason = error if is_http else getattr(error, "reason", error)
        raise DatasetUnavailable(f"cannot download {name}: {reason}; {remedy}") from error
    except _WRONG_ARCHIVE as error:
        raise DatasetUnavailable(
            f"cannot download {name}: what came is not the expected archive ({error}); {remedy}"
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)
