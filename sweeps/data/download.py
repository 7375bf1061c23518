"""Datasets that torchvision downloads, checks and unpacks, made into caches."""

import contextlib
import errno
import http.client
import os
import re
import shutil
import socket
import sys
import tarfile
import urllib.error
import zlib
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import click

from sweeps.data.importing import build_from_tree
from sweeps.data.items import build_from_items
from sweeps.errors import DatasetUnavailable
from sweeps.spec.torchvision_sets import PREFIX, SETS, shown_name

_IMAGENETTE_SIZE = 224
# How long a silent network is waited for.
_TIMEOUT_SECONDS = 20.0

_SERVERS_REASON = re.compile(
    r"Error downloading .*got:\s+<?(?:urlopen error )?(.*?)>?\s*$", re.DOTALL
)
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}
_WRONG_ARCHIVE = (
    *(RuntimeError, ValueError, KeyError),
    *(tarfile.TarError, EOFError, zlib.error, http.client.HTTPException),
)


def build_download(folder: Path, name: str, options: Mapping[str, Any], size: int | None) -> None:
    """Download a dataset and fill the empty cache folder `folder`.

    The archive and its files are kept in `folder` until the cache is built, then removed.
    `imagenette` is the 320-pixel version, scaled and cropped to 224 as an import of that archive
    would be.

    Args:
        folder: the cache's.
        name: `cifar10`, `imagenette`, `stl10`, or `torchvision/MNIST`.
        options: those that a set of torchvision needs.
        size: of those whose images differ in size; None for the others.

    Raises:
        DatasetUnavailable: there is no internet, what came was not the archive, or a package is
            missing.
    """
    root = folder / "download"
    root.mkdir()
    if name == "imagenette":
        with _downloading(name):
            from torchvision.datasets import Imagenette

            Imagenette(root, split="train", size="320px", download=True)
        tree = next(path for path in root.iterdir() if path.is_dir())
        build_from_tree(folder, name, tree, size=_IMAGENETTE_SIZE, source="torchvision")
    else:
        class_name = name.removeprefix(PREFIX) if name.startswith(PREFIX) else name.upper()
        parts = _download_set(root, name, class_name, options)
        train = parts["train"][0]
        build_from_items(
            folder,
            shown_name(name, options),
            parts,
            classes=getattr(train, "classes", None) or getattr(train, "categories", None),
            size=size,
            source="torchvision",
            where=name,
        )
    shutil.rmtree(root)


def _download_set(
    root: Path, name: str, class_name: str, options: Mapping[str, Any]
) -> dict[str, list[Any]]:
    """Download one of `SETS`; torchvision's datasets that make up its splits."""
    recipe = SETS[class_name]
    missing = [package for package in recipe.needs if find_spec(package) is None]
    if missing:
        raise DatasetUnavailable(
            f"{name} needs packages that are not installed: pip install {' '.join(missing)}"
        )
    with _downloading(name):
        from torchvision import datasets

        make = getattr(datasets, class_name)
        splits = {"train": recipe.train, "test": recipe.test}
        return {
            split: [make(root, download=True, **arguments, **options) for arguments in kinds]
            for split, kinds in splits.items()
        }


@contextlib.contextmanager
def _downloading(name: str) -> Iterator[None]:
    """Keep stdout clean, and explain failures."""
    known_as = "NAME" if name.startswith(PREFIX) else name
    remedy = f"where there is no internet, `sweeps data import {known_as} PATH` takes an archive"
    click.echo(f"downloading {name}", err=True)
    try:
        with bounded_network(), contextlib.ExitStack() as stack:
            shown: IO[str] = sys.stderr
            if not sys.stderr.isatty():
                # A progress bar in a log file is a line for every update.
                shown = stack.enter_context(open(os.devnull, "w"))
                stack.enter_context(contextlib.redirect_stderr(shown))
            stack.enter_context(contextlib.redirect_stdout(shown))
            yield
    except OSError as error:
        if error.errno in _DISK:
            raise
        reason = network_reason(error)
        raise DatasetUnavailable(f"cannot download {name}: {reason}; {remedy}") from error
    except _WRONG_ARCHIVE as error:
        # MNIST and its kin try several servers, and say in words alone why each failed.
        found = _SERVERS_REASON.search(str(error))
        if found is not None:
            raise DatasetUnavailable(f"cannot download {name}: {found[1]}; {remedy}") from error
        words = " ".join(str(error).split())
        raise DatasetUnavailable(
            f"cannot download {name}: what came is not the expected archive ({words}); {remedy}"
        ) from error


@contextlib.contextmanager
def bounded_network() -> Iterator[None]:
    """Bound how long a silent network is waited for."""
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(timeout)


def network_reason(error: Exception) -> object:
    """Return what to say of a failed download: of HTTP's errors the status, not the reason."""
    is_http = isinstance(error, urllib.error.HTTPError)
    return error if is_http else getattr(error, "reason", error)
