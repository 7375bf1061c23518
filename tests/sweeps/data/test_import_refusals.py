"""Imports that are refused: one clear line each, and nothing left behind."""

import gzip
import io
import re
import stat
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from sweeps.data import import_dataset
from sweeps.data.images import BadImage, decode
from sweeps.errors import SweepsError
from tests.sweeps.data import trees


@pytest.fixture
def refuses(data_dir, leftovers):
    def check(path, pattern, name="mine", **options):
        with pytest.raises(SweepsError, match=pattern) as error:
            import_dataset(name, path, data_dir, **options)
        assert "\n" not in str(error.value)
        assert leftovers() == []

    return check


@pytest.mark.parametrize("name", ["", "Mine", "../up", "a b", ".hidden", "-x", "a/b", "ä"])
def test_bad_names(tmp_path, refuses, name):
    path = trees.zip(tmp_path / "t.zip", trees.make())
    refuses(path, "cannot be a dataset's name", name=name)


def test_patterns_is_taken(tmp_path, refuses):
    refuses(trees.zip(tmp_path / "t.zip", trees.make()), "built in", name="patterns")


@pytest.mark.parametrize(
    ("compression", "share"), [("gz", 0.01), ("xz", 0.3), ("bz2", 0.75), ("gz", 0.95), ("", 0.3)]
)
def test_truncated_tars(tmp_path, refuses, compression, share):
    whole = trees.tar(tmp_path / "t.tar", trees.make(), f"w:{compression}").read_bytes()
    if not compression:
        whole = whole.rstrip(b"\0")  # A stored tar may lose its padding without harm.
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole[: int(len(whole) * share)])
    refuses(cut, "truncated|damaged")


def test_a_tar_that_ends_between_two_members(tmp_path, refuses):
    path = trees.tar(tmp_path / "t.tar", trees.make(), "w")
    with tarfile.open(path) as archive:
        end = archive.getmembers()[20].offset
    path.write_bytes(path.read_bytes()[:end])
    refuses(path, "the end of the archive is missing")


def test_a_gzip_with_a_wrong_checksum(tmp_path, refuses):
    data = bytearray(trees.tar(tmp_path / "t.tgz", trees.make()).read_bytes())
    data[-6] ^= 0xFF
    (tmp_path / "t.tgz").write_bytes(data)
    refuses(tmp_path / "t.tgz", "CRC|damaged")


def test_truncated_and_damaged_zips(tmp_path, refuses):
    whole = trees.zip(tmp_path / "t.zip", trees.make()).read_bytes()
    cut = tmp_path / "cut.zip"
    cut.write_bytes(whole[: len(whole) // 2])
    refuses(cut, "truncated or damaged")
    spoilt = bytearray(whole)
    spoilt[120] ^= 0xFF
    cut.write_bytes(spoilt)
    refuses(cut, "cannot read 1 image|truncated or damaged")


def test_what_is_no_archive(tmp_path, refuses):
    for content in (b"", b"hello", b"\0" * 2000):
        (tmp_path / "file").write_bytes(content)
        refuses(tmp_path / "file", "no tar or zip|no images")
    (tmp_path / "one.gz").write_bytes(gzip.compress(b"no tar in here"))
    refuses(tmp_path / "one.gz", "no tar or zip")
    (tmp_path / "z.tar.zst").write_bytes(b"\x28\xb5\x2f\xfd" + b"x" * 50)
    refuses(tmp_path / "z.tar.zst", "unpack it and import the folder")
    refuses(tmp_path / "missing.tar", "does not exist")


@pytest.mark.parametrize("name", ["/etc/x.png", "../x.png", "train/ant/../../../x.png"])
def test_members_outside(tmp_path, refuses, name):
    tree = {**trees.make(), name: trees.png(1)}
    refuses(trees.tar(tmp_path / "t.tar", tree), re.escape(repr(name)))
    refuses(trees.zip(tmp_path / "t.zip", tree), re.escape(repr(name)))


def test_windows_paths_outside(tmp_path, refuses):
    for name in ("..\\x.png", "C:\\x.png", "\\x.png"):
        path = trees.zip(tmp_path / "t.zip", {**trees.make(), name: trees.png(1)})
        refuses(path, "lies outside")


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_tar_links_and_devices(tmp_path, refuses, kind):
    path = trees.tar(tmp_path / "t.tar", trees.make(), "w")
    with tarfile.open(path, "a") as archive:
        member = tarfile.TarInfo("train/ant/evil.png")
        member.type, member.linkname = kind, "train/ant/00.png"
        archive.addfile(member)
    refuses(path, "'train/ant/evil.png' is a (link|device)")


def test_zip_links(tmp_path, refuses):
    path = trees.zip(tmp_path / "t.zip", trees.make())
    with zipfile.ZipFile(path, "a") as archive:
        member = zipfile.ZipInfo("train/ant/evil.png")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, "/etc/passwd")
    refuses(path, "'train/ant/evil.png' is a link")


@pytest.mark.parametrize(
    ("offsets", "value", "pattern"),
    [((6, 8), 1, "is encrypted"), ((8, 10), 99, "cannot read 1 image: test/.*not supported")],
)
def test_zips_of_an_unknown_kind(tmp_path, refuses, offsets, value, pattern):
    """The last member's flags or compression are changed, in both of its headers."""
    path = trees.zip(tmp_path / "t.zip", trees.make())
    data = bytearray(path.read_bytes())
    for signature, offset in zip((b"PK\3\4", b"PK\1\2"), offsets, strict=True):
        data[data.rindex(signature) + offset] = value
    path.write_bytes(data)
    refuses(path, pattern)


def test_corrupt_images_are_named_up_to_five(tmp_path, refuses):
    jpeg = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(jpeg, "JPEG")
    tree = trees.make()
    tree["train/bee/zz.jpg"] = jpeg.getvalue()[:-40]
    refuses(trees.zip(tmp_path / "a.zip", tree), r"cannot read 1 image: train/bee/zz\.jpg \(")
    tree |= {f"test/cat/x{i}.jpg": b"not an image" for i in range(6)}
    path = trees.directory(tmp_path / "tree", tree)
    refuses(path, r"cannot read 7 images: test/cat/x0.*test/cat/x4.* and 2 more")


def test_decompression_bombs(tmp_path, refuses, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    # 64 pixels are a warning to Pillow, 8 by 12 an error; both are refused.
    refuses(trees.zip(tmp_path / "a.zip", trees.make()), "more pixels than Pillow's limit")
    with pytest.raises(BadImage, match="more pixels"):
        decode(io.BytesIO(trees.png(1, 8, 12)), None)


def test_a_format_that_runs_programs_is_no_image():
    with pytest.raises(BadImage, match="not an image"):
        decode(io.BytesIO(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n"), None)


@pytest.mark.parametrize(
    ("tree", "pattern"),
    [
        ({}, "no images"),
        ({"readme.txt": "x"}, "no images"),
        ({"1.png": "p", "2.png": "p"}, "no class folder"),
        ({"only/1.png": "p", "only/2.png": "p"}, "one class only, 'only'"),
        ({"train/only/1.png": "p", "test/only/1.png": "p"}, "one class only, 'only'"),
        ({"a/1.png": "p", "a/2.png": "p", "b/1.txt": "x"}, "'b' has no images"),
        ({"a/1.png": "p", "b/2.png": "p", "b/3.png": "p"}, "'a' has one image"),
        (
            {"train/a/1.png": "p", "train/b/1.png": "p", "test/a/1.png": "p", "test/c/1.png": "p"},
            "'b' is missing from the test split",
        ),
        ({"val/a/1.png": "p", "val/b/1.png": "p", "test/a/1.png": "p"}, "no folder 'train'"),
    ],
)
def test_trees_that_are_no_dataset(tmp_path, refuses, tree, pattern):
    contents = {n: trees.png(1) if kind == "p" else b"x" for n, kind in tree.items()}
    refuses(trees.zip(tmp_path / "t.zip", contents), pattern)
    (tmp_path / "tree").mkdir()
    refuses(trees.directory(tmp_path / "tree", contents), pattern)


def test_a_foreign_folder_is_not_overwritten(tmp_path, data_dir):
    trees.directory(data_dir / "mine", trees.make())
    with pytest.raises(SweepsError, match="in the way"):
        import_dataset("mine", trees.zip(tmp_path / "t.zip", trees.make()), data_dir, replace=True)
    assert (data_dir / "mine" / "train" / "ant" / "00.png").exists()
