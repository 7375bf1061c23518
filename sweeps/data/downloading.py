"""Datasets that torchvision downloads, decoded into a cache folder."""

import errno
import functools
import shutil
import socket
import ssl
import sys
import tarfile
import threading
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from sweeps.data.cache import SPLITS, CacheWriter
from sweeps.data.importing import build_from_tree
from sweeps.data.progress import note
from sweeps.errors import DatasetUnavailable

IMAGENETTE_SIZE = 224

# Seconds: how long the first answer may take in all, and then each silence during the download.
_ANSWER_TIMEOUT = 20.0
_SILENCE_TIMEOUT = 20.0


def build_download(folder: Path, name: str, progress: bool) -> None:
    """Downloads `cifar10`, `imagenette` or `stl10` and fills the empty cache folder `folder`.

    The archive and what is unpacked of it lie in `folder` meanwhile and are removed at the end.
    Rows are ordered by class, then as the archive orders them. `imagenette` is the 320-pixel
    version, scaled and cropped to 224 exactly as an import of that archive would.

    Raises:
        DatasetUnavailable: there is no internet, or what came was not the archive.
    """
    root = folder / "download"
    root.mkdir()
    with _download_errors(name):
        if name == "imagenette":
            tree = _fetch_imagenette(root, progress)
        else:
            classes, arrays = (_fetch_cifar10 if name == "cifar10" else _fetch_stl10)(
                root, progress
            )
    if name == "imagenette":
        build_from_tree(
            folder,
            name,
            tree,
            size=IMAGENETTE_SIZE,
            source="torchvision",
            progress=progress,
        )
    else:
        _write(folder, name, classes, arrays)
    shutil.rmtree(root)


_Arrays = dict[str, tuple[np.ndarray, np.ndarray]]


def _fetch_cifar10(root: Path, progress: bool) -> tuple[list[str], _Arrays]:
    from torchvision.datasets import CIFAR10

    with _fetching("cifar10", CIFAR10.url, progress):
        splits = {s: CIFAR10(root, train=s == "train", download=True) for s in SPLITS}
    arrays = {s: (d.data, np.asarray(d.targets)) for s, d in splits.items()}
    return splits["train"].classes, arrays


def _fetch_stl10(root: Path, progress: bool) -> tuple[list[str], _Arrays]:
    from torchvision.datasets import STL10

    with _fetching("stl10", STL10.url, progress):
        splits = {s: STL10(root, split=s, download=True) for s in SPLITS}
    arrays = {s: (d.data.transpose(0, 2, 3, 1), d.labels) for s, d in splits.items()}
    return splits["train"].classes, arrays


def _fetch_imagenette(root: Path, progress: bool) -> Path:
    from torchvision.datasets import Imagenette

    with _fetching("imagenette", Imagenette._ARCHIVES["320px"][0], progress):
        Imagenette(root, split="train", size="320px", download=True)
    return next(path for path in root.iterdir() if path.is_dir())


def _write(folder: Path, name: str, classes: list[str], arrays: _Arrays) -> None:
    orders = {s: np.argsort(labels, kind="stable") for s, (_, labels) in arrays.items()}
    writer = CacheWriter(
        folder,
        name=name,
        source="torchvision",
        classes=classes,
        size=arrays["train"][0].shape[1],
        labels={s: labels[orders[s]] for s, (_, labels) in arrays.items()},
    )
    try:
        for split, (images, _) in arrays.items():
            for row, index in enumerate(orders[split]):
                writer.write(split, row, images[index])
        writer.finish()
    finally:
        writer.close()


@contextmanager
def _fetching(name: str, url: str, progress: bool) -> Iterator[None]:
    """Bounds how long a dead network is waited for, and how torchvision shows its progress."""
    from torchvision.datasets import utils

    note(f"downloading {name} from {url}", progress)
    _await_answer(url)
    bar, timeout = utils.tqdm, socket.getdefaulttimeout()
    socket.setdefaulttimeout(_SILENCE_TIMEOUT)
    utils.tqdm = functools.partial(bar, disable=not (progress and sys.stderr.isatty()))
    try:
        yield
    finally:
        utils.tqdm = bar
        socket.setdefaulttimeout(timeout)


def _await_answer(url: str) -> None:
    """Asks for the headers of `url`.

    In a thread, for a socket's timeout bounds neither the look-up of the name nor the sum over all
    of a server's addresses, and where packets are swallowed each of these takes its time.

    Raises:
        OSError: nothing answered within the time; an answer, whatever it says, is fine.
    """
    failure: list[OSError] = []

    def ask() -> None:
        try:
            request = urllib.request.Request(url, method="HEAD")
            urllib.request.urlopen(request, timeout=_ANSWER_TIMEOUT).close()
        except urllib.error.HTTPError as error:
            error.close()
        except OSError as error:
            failure.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_ANSWER_TIMEOUT)
    if thread.is_alive():
        raise TimeoutError(f"no answer within {_ANSWER_TIMEOUT:.0f} seconds")
    if failure:
        raise failure[0]


@contextmanager
def _download_errors(name: str) -> Iterator[None]:
    way_out = f"where there is no internet, `sweeps data import {name} PATH` takes an archive"
    try:
        yield
    except (urllib.error.URLError, TimeoutError, ConnectionError, ssl.SSLError) as error:
        reason: object = error
        if isinstance(error, urllib.error.URLError) and not isinstance(
            error, urllib.error.HTTPError
        ):
            reason = error.reason
        raise DatasetUnavailable(f"cannot download {name}: {reason}; {way_out}") from error
    except (RuntimeError, tarfile.TarError, EOFError, zlib.error, ValueError, KeyError) as error:
        raise DatasetUnavailable(
            f"cannot download {name}: what came is not the expected archive ({error}); {way_out}"
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise DatasetUnavailable(f"cannot download {name}: {error}; {way_out}") from error
