"""What the pictures themselves say: fingerprint and channel statistics."""

import hashlib
import json
import math
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image


class Fingerprint:
    """A hash over classes, labels and pictures.

    Splits are added in the order train, test, and their rows in canonical order (by class, then
    file name), so that it does not matter where and in which order the pictures lay.

    Args:
        classes: names, in the order of the labels.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._digest = hashlib.sha256(json.dumps(list(classes)).encode("ascii"))

    def add_split(
        self,
        split: str,
        shape: tuple[int, int, int, int],
        labels: np.ndarray,
        chunks: Iterable[np.ndarray],
    ) -> None:
        """Adds a split: its shape [N, S, S, 3], labels int64 [N], and all pictures, uint8."""
        self._digest.update(f"{split} {shape}".encode("ascii"))
        self._digest.update(labels.astype("<i8").tobytes())
        for chunk in chunks:
            self._digest.update(chunk.tobytes())

    def hexdigest(self) -> str:
        """`sha256:` and the first 16 hex digits."""
        return f"sha256:{self._digest.hexdigest()[:16]}"


def channel_statistics(
    chunks: Iterable[np.ndarray],
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation per channel, in 0..1, of uint8 pictures [n, S, S, 3] in chunks.

    Counted in integers, so the result is the same on every machine.
    """
    counts = [0] * 768
    for chunk in chunks:
        # Pillow's histogram counts bytes as they are; numpy's would widen them eightfold first.
        pixels = Image.fromarray(chunk.reshape(-1, chunk.shape[2], 3))
        counts = [a + b for a, b in zip(counts, pixels.histogram(), strict=True)]
    means, stds = [], []
    for channel in range(3):
        levels = counts[256 * channel : 256 * (channel + 1)]
        total = max(sum(levels), 1)
        first = sum(value * count for value, count in enumerate(levels))
        second = sum(value * value * count for value, count in enumerate(levels))
        means.append(first / total / 255)
        stds.append(math.sqrt(total * second - first * first) / total / 255)
    return (means[0], means[1], means[2]), (stds[0], stds[1], stds[2])
