"""Class-folder trees of tiny images, as directories, tars and zips."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

Tree = dict[str, bytes]


def png(seed: int, width: int = 8, height: int = 8, mode: str = "RGB") -> bytes:
    """A random image's file contents."""
    pixels = np.random.RandomState(seed).randint(0, 256, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, "TIFF" if mode == "CMYK" else "PNG")
    return file.getvalue()


def make(root: str = "", test: str = "test", size: int = 8) -> Tree:
    """Three classes with 6 train and 2 test images each: path -> contents."""
    return {
        f"{root}{split}/{name}/{i:02}.png": png(100 * label + 10 * (split == test) + i, size, size)
        for split, count in (("train", 6), (test, 2))
        for label, name in enumerate(("ant", "bee", "cat"))
        for i in range(count)
    }


def directory(path: Path, tree: Tree) -> Path:
    for name, data in tree.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def tar(path: Path, tree: Tree, mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        # Backwards, so that an archive's order differs from the sorted one.
        for name, data in reversed(tree.items()):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def zip(path: Path, tree: Tree) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in tree.items():
            archive.writestr(name, data)
    return path
