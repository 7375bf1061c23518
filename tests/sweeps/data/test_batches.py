"""Batches against a slow reference that works image by image."""

import numpy as np
import pytest
import torch

from sweeps.data.batches import Batches

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
IMAGES = np.random.RandomState(0).randint(0, 256, (50, 9, 9, 3), dtype=np.uint8)
LABELS = np.arange(50) % 7


def batches(indices=None, batch_size=8, **options):
    indices = np.arange(50) if indices is None else indices
    return Batches(IMAGES, LABELS, indices, batch_size, MEAN, STD, **options)


def whole(iterable):
    images, labels = zip(*iterable, strict=True)
    return torch.cat(images), torch.cat(labels)


def normalized(images):
    return ((images / 255 - np.array(MEAN)) / np.array(STD)).transpose(0, 3, 1, 2)


def test_plain_is_normalized_in_order():
    images, labels = whole(batches([4, 40, 2]))
    assert images.dtype == torch.float32
    np.testing.assert_allclose(images, normalized(IMAGES[[4, 40, 2]]), atol=1e-5)
    assert labels.tolist() == [4, 5, 2]
    assert labels.dtype == torch.int64


def variants(image, crop):
    """Every result that shifting and mirroring may give, keyed by its bytes."""
    padded = np.pad(image, ((crop, crop), (crop, crop), (0, 0)), mode="reflect")
    found = {}
    for y in range(2 * crop + 1):
        for x in range(2 * crop + 1):
            cut = padded[y : y + 9, x : x + 9]
            found[cut.tobytes()] = (y, x, False)
            found[cut[:, ::-1].tobytes()] = (y, x, True)
    return found


@pytest.mark.parametrize(("crop", "flip"), [(0, True), (1, False), (3, True), (8, True)])
def test_crop_and_flip_equal_pad_cut_and_mirror(crop, flip):
    rounds = batches(crop=crop, flip=flip)
    seen = set()
    for epoch in range(4):
        rounds.set_epoch(epoch)
        images, labels = whole(rounds)
        pixels = images.permute(0, 2, 3, 1).double() * torch.tensor(STD) + torch.tensor(MEAN)
        pixels = (pixels * 255).round().to(torch.uint8).numpy()
        for row in range(50):
            seen.add(variants(IMAGES[row], crop)[pixels[row].tobytes()])
        np.testing.assert_array_equal(labels, LABELS)
    assert {s[0] for s in seen} >= {0, crop, 2 * crop} or crop == 8
    assert any(s[0] != s[1] for s in seen) == (crop > 0)
    # Shifted by the whole width an image is its own mirror image.
    assert {s[2] for s in seen} == ({False, True} if flip else {False}) or crop == 8


def test_a_box_is_cut_out_and_scaled_up():
    """Of a ramp to the right and one downwards: their slopes and places tell the box."""
    line = np.linspace(0, 250, 51)
    ramps = np.stack(np.broadcast_arrays(line[None, :], line[:, None], 0), 2).astype(np.uint8)
    images = np.repeat(ramps[None], 200, 0)
    rounds = Batches(
        images, np.arange(200), np.arange(200), 64, (0, 0, 0), (1, 1, 1), crop_scale=(0.2, 0.5)
    )
    found, labels = whole(rounds)
    assert labels.tolist() == list(range(200))
    ramps = found[:, :2].double() * 255 / 250
    right, down = ramps[:, 0].diff(dim=2) * 50, ramps[:, 1].diff(dim=1) * 50
    width, height = right[:, 25, 25], down[:, 25, 25]
    # Over the outermost half pixel the border is repeated.
    for slopes, extent in ((right[:, :, 2:-2], width), (down[:, 2:-2, :], height)):
        assert (slopes - extent[:, None, None]).abs().max() < 1e-4
    area, aspect = width * height, width / height
    assert 0.2 <= area.min() < 0.23 < 0.47 < area.max() <= 0.5001
    assert 0.75 <= aspect.min() + 1e-4 < 0.8 < 1.25 < aspect.max() <= 4 / 3 + 1e-4
    for ramp, extent in ((ramps[:, 0, 25], width), (ramps[:, 1, :, 25], height)):
        # From 0 where the box begins at the border to 1 where it ends at the other.
        place = (ramp[:, 25] - extent / 2) / (1 - extent)
        assert -0.02 < place.min() < 0.05 < 0.95 < place.max() < 1.02
    flipped, _ = whole(
        Batches(
            images,
            np.arange(200),
            np.arange(200),
            64,
            (0, 0, 0),
            (1, 1, 1),
            crop_scale=(0.2, 0.5),
            flip=True,
        )
    )
    mirrored = flipped[:, 0, 25, 25] > flipped[:, 0, 25, 26]
    assert 70 < mirrored.sum() < 130
    torch.testing.assert_close(flipped[mirrored], found[mirrored].flip(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(flipped[~mirrored], found[~mirrored])


@pytest.mark.parametrize(
    "options", [{"mixup": 0.5}, {"cutmix": 1.0}, {"mixup": 0.5, "cutmix": 1.0}]
)
@pytest.mark.parametrize("channels_last", [True, False])
def test_images_and_labels_are_mixed_in_the_same_shares(options, channels_last):
    options["channels_last"] = channels_last
    kinds = set()
    rounds = batches(classes=7, **options)
    for epoch in range(3):
        rounds.set_epoch(epoch)
        for (images, shares), (plain, labels) in zip(rounds, batches(), strict=True):
            torch.testing.assert_close(shares.sum(1), torch.ones(len(labels)))
            own = float(shares[1, labels[1]])
            other = plain.roll(1, 0)
            one_hot = torch.eye(7)[labels]
            torch.testing.assert_close(shares, own * one_hot + (1 - own) * one_hot.roll(1, 0))
            if own in (0, 1):
                # Of the one image or the other alone.
                assert torch.equal(images, plain if own else other)
            elif torch.allclose(images, own * plain + (1 - own) * other, atol=1e-5):
                kinds.add("mixup")
            else:
                kinds.add("cutmix")
                kept = (images == plain).all(1)
                assert (kept | (images == other).all(1)).all()
                assert kept[0].float().mean() == pytest.approx(own, abs=1e-6)
            layout = torch.channels_last if channels_last else torch.contiguous_format
            assert images.is_contiguous(memory_format=layout)
    assert kinds == options.keys() - {"channels_last"}
    again = batches(classes=7, **options)
    again.set_epoch(2, first_batch=3)
    rest = list(rounds)[3:]
    torch.testing.assert_close(list(again), rest, rtol=0, atol=0)


def test_shuffling_is_a_permutation_by_seed_and_epoch():
    rounds = batches(np.arange(30), shuffle=True, crop=2, flip=True, seed=5)
    first, again = whole(rounds), whole(rounds)
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    torch.manual_seed(999)
    fresh = whole(batches(np.arange(30), shuffle=True, crop=2, flip=True, seed=5))
    torch.testing.assert_close(first, fresh, rtol=0, atol=0)
    rounds.set_epoch(1)
    assert not torch.equal(whole(rounds)[0], first[0])
    assert not torch.equal(
        whole(batches(np.arange(30), shuffle=True, crop=2, flip=True, seed=6))[0], first[0]
    )
    plain = whole(batches(np.arange(30), shuffle=True))[0]
    expected = torch.from_numpy(normalized(IMAGES[:30])).float()
    distance = (plain[:, None] - expected).abs().flatten(2).amax(2)
    assert sorted(distance.argmin(1).tolist()) == list(range(30))
    assert distance.min(1).values.max() < 1e-5


def test_the_global_generator_is_left_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    whole(batches(shuffle=True, crop=1, flip=True, mixup=1.0, cutmix=1.0, classes=7))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("options", [{}, {"crop_scale": (0.3, 1.0)}])
def test_an_epoch_does_not_depend_on_the_batch_size(options):
    options |= {"shuffle": True, "crop": 2, "flip": True}
    torch.testing.assert_close(whole(batches(**options)), whole(batches(batch_size=50, **options)))


def test_lengths():
    assert (len(batches()), batches().image_count) == (7, 50)
    short = batches(drop_last=True)
    assert (len(short), short.image_count, len(list(short))) == (6, 48, 6)
    assert [len(labels) for _, labels in batches()] == [8] * 6 + [2]


@pytest.mark.parametrize("crop", [0, 2])
def test_memory_formats(crop):
    (first, _), *_ = batches(crop=crop, channels_last=True)
    assert first.is_contiguous(memory_format=torch.channels_last)
    (second, _), *_ = batches(crop=crop, channels_last=False)
    assert second.is_contiguous()
    assert torch.equal(first, second)


def test_a_mapped_file_is_read_without_warnings(tmp_path, recwarn):
    np.save(tmp_path / "images.npy", IMAGES)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    images, _ = whole(Batches(mapped, LABELS, np.arange(50), 8, MEAN, STD))
    torch.testing.assert_close(images, whole(batches())[0])
    assert not recwarn.list


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(
    "more", [{}, {"crop_scale": (0.3, 1.0)}, {"mixup": 0.5, "cutmix": 1.0, "classes": 7}]
)
def test_a_device_gives_the_same_images(more):
    options = {"shuffle": True, "crop": 2, "flip": True, **more}
    images, labels = whole(batches(np.arange(5, 40), device="cuda", **options))
    expected = whole(batches(np.arange(5, 40), **options))
    assert images.device.type == labels.device.type == "cuda"
    torch.testing.assert_close((images.cpu(), labels.cpu()), expected)


@pytest.mark.parametrize("options", [{"crop": 9}, {"crop": -1}, {"batch_size": 0}, {"seed": -1}])
def test_out_of_range(options):
    with pytest.raises(ValueError, match="out of range"):
        batches(**options)
