"""What the pictures themselves say: fingerprint and channel statistics."""

import hashlib
import json
import math
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

_CHUNK_BYTES = 16 * 2**20


def content_fingerprint(
    classes: Sequence[str], arrays: dict[str, tuple[np.ndarray, np.ndarray]]
) -> str:
    """`sha256:` and the first 16 hex digits of the hash over classes, labels and pictures.

    Args:
        classes: names, in the order of the labels.
        arrays: for each split its images uint8 [N, S, S, 3] and labels int64 [N], in canonical
            order (by class, then file name), so that where the pictures lay does not matter.
    """
    digest = hashlib.sha256(json.dumps(list(classes)).encode("ascii"))
    for split, (images, labels) in arrays.items():
        digest.update(f"{split} {images.shape}".encode("ascii"))
        digest.update(labels.astype("<i8").tobytes())
        for chunk in _chunks(images):
            digest.update(np.ascontiguousarray(chunk))
    return f"sha256:{digest.hexdigest()[:16]}"


def channel_statistics(
    images: np.ndarray,
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation per channel, in 0..1, of uint8 images [N, S, S, 3].

    Counted in integers, so the result is the same on every machine.
    """
    counts = [0] * 768
    for chunk in _chunks(images):
        # Pillow's histogram counts bytes in place; numpy's would widen them eightfold first.
        pixels = np.ascontiguousarray(chunk).reshape(-1, chunk.shape[2], 3)
        counts = [a + b for a, b in zip(counts, Image.fromarray(pixels).histogram(), strict=True)]
    means, stds = [], []
    for channel in range(3):
        levels = counts[256 * channel : 256 * (channel + 1)]
        total = max(sum(levels), 1)
        first = sum(value * count for value, count in enumerate(levels))
        second = sum(value * value * count for value, count in enumerate(levels))
        means.append(first / total / 255)
        stds.append(math.sqrt(total * second - first * first) / total / 255)
    return (means[0], means[1], means[2]), (stds[0], stds[1], stds[2])


def _chunks(images: np.ndarray) -> Iterator[np.ndarray]:
    rows = max(1, _CHUNK_BYTES // max(1, images[:1].nbytes))
    for start in range(0, len(images), rows):
        yield images[start : start + rows]
