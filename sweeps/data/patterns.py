"""`patterns`: ten classes of drawn images, for trying things out without any download.

Drawn with additions, multiplications, divisions, square roots and comparisons only, which round the
same on every machine (sines do not), and with numpy's frozen `RandomState`, so that a size has one
fingerprint everywhere.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# By name, for it is loaded on first use otherwise, and a Ctrl-C within that loading may get lost.
from numpy.random import RandomState

from sweeps.data.building import track
from sweeps.data.cache import SPLITS, CacheWriter
from sweeps.data.catalog import PATTERNS
from sweeps.errors import SweepsError

MIN_SIZE = 16
TRAIN_PER_CLASS = 600
TEST_PER_CLASS = 120

_SEED = 20240229
_CHUNK_PIXELS = 2**18


@dataclass(frozen=True)
class _Field:
    """Where each pixel of n images lies relative to what is drawn: arrays [n, S, S] or [n, 1, 1].

    The drawn region reaches from -1 to 1 on both axes.
    """

    u: np.ndarray
    v: np.ndarray
    pixel: np.ndarray
    frequency: np.ndarray
    phase: np.ndarray


def build_patterns(folder: Path, size: int) -> None:
    """Draw the dataset at `size` pixels into the empty cache folder `folder`.

    Raises:
        SweepsError: the size is below 16.
    """
    if size < MIN_SIZE:
        raise SweepsError(f"patterns is drawn at {MIN_SIZE} pixels or more, not at {size}")
    counts = {"train": TRAIN_PER_CLASS, "test": TEST_PER_CLASS}
    names = sorted(_SHAPES)
    labels = {split: np.repeat(np.arange(len(names)), n) for split, n in counts.items()}
    parts = [(split, label, name) for split in counts for label, name in enumerate(names)]
    total = len(names) * sum(counts.values())
    doing = f"drawing patterns at {size} ({total:,} images)"
    with CacheWriter(
        folder, name=PATTERNS, source="patterns", classes=names, labels=labels
    ) as writer:
        for split, label, name in track(parts, doing, len(parts)):
            row = label * counts[split]
            for images in draw(name, counts[split], size, (_SEED, SPLITS.index(split), label)):
                writer.write(split, row, images)
                row += len(images)
        writer.finish()


def draw(name: str, count: int, size: int, seed: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Yield `count` images of one class in chunks, uint8 [n, size, size, 3].

    Args:
        name: the class.
        count: images in all.
        size: height and width, in pixels.
        seed: another seed gives other images.
    """
    # What an image shows is drawn ahead of its noise, so that chunks do not matter.
    random = RandomState(seed)
    values = random.random_sample((count, 40))
    chunk = max(1, _CHUNK_PIXELS // size**2)
    for start in range(0, count, chunk):
        part = values[start : start + chunk]
        # One draw, image by image: three for the channels and one that they share.
        noise = random.random_sample((len(part), size, size, 4))
        yield _render(name, part, size, noise[..., :3] + noise[..., 3:] - 1)


def _render(name: str, values: np.ndarray, size: int, noise: np.ndarray) -> np.ndarray:
    columns = iter(values.T[:, :, None, None])

    def uniform(low: float, high: float) -> np.ndarray:
        return low + (high - low) * next(columns)

    line = (np.arange(size) + 0.5) / size * 2 - 1
    x, y = line[None, None, :], line[None, :, None]

    def placed(scale: np.ndarray, reach: float, tilt: float) -> _Field:
        """Random place, a random turn of up to about 2 * `tilt` radians either way."""
        dx, dy = x - uniform(-reach, reach), y - uniform(-reach, reach)
        t = uniform(-tilt, tilt)
        cosine, sine = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
        return _Field(
            (dx * cosine + dy * sine) / scale,
            (dy * cosine - dx * sine) / scale,
            2 / size / scale,
            uniform(0.9, 2.2),
            uniform(0, 1),
        )

    def color() -> np.ndarray:
        return np.concatenate([uniform(0, 1) for _ in range(3)], axis=2)[:, :, None, :].reshape(
            -1, 1, 1, 3
        )

    back, gradient = color(), (color() - 0.5) * 0.6
    direction = uniform(-1, 1)
    image = back + gradient * (x * direction + y * (1 - np.abs(direction)))[..., None]

    # Distractors: a bar and a disc, in colors of their own, under what is drawn.
    bar = placed(uniform(0.4, 1.0), 0.9, 1.0)
    image = _paint(image, _inside(np.abs(bar.u) - 0.08, bar), color())
    disc = placed(uniform(0.1, 0.25), 0.9, 0.0)
    image = _paint(image, _inside(_radius(disc) - 1, disc), color())

    field = placed(uniform(0.6, 0.95), 0.25, 0.08)
    region = _inside(np.maximum(np.abs(field.u), np.abs(field.v)) - 1, field)
    mask = _SHAPES[name](field) * region
    # Away from the background, or there would be nothing to see.
    ink = color()
    contrast = uniform(0.4, 1.0)
    ink = back + np.where(ink < 0.5, -1.0, 1.0) * (contrast[..., None] * (0.5 + np.abs(ink - 0.5)))
    image = _paint(image, mask, ink)

    image = 0.15 + 0.7 * image + noise * uniform(0.02, 0.12)[..., None]
    return np.floor(np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def _paint(image: np.ndarray, mask: np.ndarray, color: np.ndarray) -> np.ndarray:
    return image + mask[..., None] * (color - image)


def _inside(distance: np.ndarray, field: _Field) -> np.ndarray:
    """1 where a signed distance is negative, 0 where positive, smooth over one pixel."""
    return np.clip(0.5 - distance / field.pixel, 0, 1)


def _radius(field: _Field) -> np.ndarray:
    return np.sqrt(field.u * field.u + field.v * field.v)


def _wave(position: np.ndarray, field: _Field) -> np.ndarray:
    """Stripes across `position`: 0..1, as many periods in the region as its frequency times two."""
    turns = position * field.frequency + field.phase
    triangle = np.abs(turns - np.floor(turns) - 0.5) - 0.25
    return _inside(triangle / field.frequency, field)


def _diagonal(field: _Field) -> np.ndarray:
    # Both diagonals are one class: the phase picks one.
    sign = np.where(field.phase < 0.5, -1.0, 1.0)
    return _wave((field.u + sign * field.v) * 0.7071, field)


def _checkers(field: _Field) -> np.ndarray:
    rows, columns = _wave(field.v, field), _wave(field.u, field)
    return rows + columns - 2 * rows * columns


def _dots(field: _Field) -> np.ndarray:
    u, v = (p * field.frequency + field.phase for p in (field.u, field.v))
    u, v = u - np.floor(u) - 0.5, v - np.floor(v) - 0.5
    return _inside((np.sqrt(u * u + v * v) - 0.3) / field.frequency, field)


def _rings(field: _Field) -> np.ndarray:
    return _wave(_radius(field), field)


def _spirals(field: _Field) -> np.ndarray:
    # An angle in 0..1 that is linear on each side of a diamond, in place of an arc tangent.
    side = field.u / np.maximum(np.abs(field.u) + np.abs(field.v), 1e-9)
    angle = np.where(field.v < 0, 3 + side, 1 - side) / 4
    turns = _radius(field) * field.frequency + field.phase + angle
    triangle = np.abs(turns - np.floor(turns) - 0.5) - 0.25
    return _inside(triangle / field.frequency, field)


def _crosses(field: _Field) -> np.ndarray:
    u, v = np.abs(field.u), np.abs(field.v)
    return _inside(np.maximum(np.minimum(u, v) - _thickness(field), np.maximum(u, v) - 0.9), field)


def _squares(field: _Field) -> np.ndarray:
    edge = np.maximum(np.abs(field.u), np.abs(field.v)) - 0.75
    return _inside(np.abs(edge) - _thickness(field) / 2, field)


def _triangles(field: _Field) -> np.ndarray:
    # 0.8944 and 0.4472 make the slanted sides' normal one long.
    slanted = np.abs(field.u) * 0.8944 + field.v * 0.4472 - 0.35
    edge = np.maximum(slanted, -field.v - 0.75)
    flipped = np.maximum(np.abs(field.u) * 0.8944 - field.v * 0.4472 - 0.35, field.v - 0.75)
    edge = np.where(field.phase < 0.5, edge, flipped)
    return _inside(np.abs(edge) - _thickness(field) / 2, field)


def _thickness(field: _Field) -> np.ndarray:
    return 0.15 + 0.1 * field.frequency


_SHAPES: dict[str, Callable[[_Field], np.ndarray]] = {
    "checkers": _checkers,
    "crosses": _crosses,
    "diagonal-stripes": _diagonal,
    "dots": _dots,
    "horizontal-stripes": lambda field: _wave(field.v, field),
    "rings": _rings,
    "spirals": _spirals,
    "squares": _squares,
    "triangles": _triangles,
    "vertical-stripes": lambda field: _wave(field.u, field),
}
