"""Batches of normalized images, cropped, flipped and mixed as whole tensors."""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch.nn import functional as F

Batch = tuple[torch.Tensor, torch.Tensor]

_UPLOAD_ROWS = 4096
_WIDEST = 4 / 3


class Batches:
    """Iterate over images in batches, as `(images, labels)` on a device.

    `images` is float32 [B, 3, S, S], normalized per channel; `labels` int64 [B], or with mixup or
    cutmix float32 [B, classes], shares that sum to 1. What an epoch yields depends on the
    arguments, the seed and the epoch's number alone: not on torch's global generator, the device,
    or what was iterated before. Iterating again gives the same epoch until `set_epoch`.

    On a device other than the CPU the chosen images are moved there once, as uint8; on the CPU
    each batch is read from `images`, which may be mapped from disk.

    Args:
        images: uint8 [N, S, S, 3].
        labels: int [N].
        indices: int [M], the rows to iterate over.
        batch_size: images in a batch; the last one may have fewer.
        mean: per channel, in 0..1.
        std: likewise, positive.
        crop: shift each image by up to this many pixels each way, the border reflected; below S.
        crop_scale: scale a random box of each image up to the whole image: a share of its area in
            this range, at an aspect ratio from 3:4 to 4:3; (1, 1) for none.
        flip: mirror half of the images, at random.
        mixup: alpha for blending each image with another (Zhang et al., 2018); 0 for none.
        cutmix: alpha for pasting a box of another image (Yun et al., 2019); 0 for none. With both,
            each batch gets one of them at random.
        classes: number of classes, for mixup and cutmix.
        shuffle: another order in each epoch; False keeps that of `indices`.
        seed: non-negative, of everything random.
        device: where the batches are wanted.
        channels_last: memory format of `images`; True costs nothing, False a copy.
        drop_last: leave out a last batch that is not full.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        indices: np.ndarray,
        batch_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        crop: int = 0,
        crop_scale: tuple[float, float] = (1.0, 1.0),
        flip: bool = False,
        mixup: float = 0.0,
        cutmix: float = 0.0,
        classes: int = 0,
        shuffle: bool = False,
        seed: int = 0,
        device: torch.device | str = "cpu",
        channels_last: bool = True,
        drop_last: bool = False,
    ) -> None:
        size = images.shape[1]
        if images.dtype != np.uint8 or images.shape[1:] != (size, size, 3):
            raise ValueError(f"expected uint8 [N, S, S, 3], got {images.dtype} {images.shape}")
        if batch_size < 1 or not 0 <= crop < size or seed < 0:
            raise ValueError(f"out of range: {batch_size=}, {crop=} at size {size}, {seed=}")
        self.batch_size = batch_size
        self.device = torch.device(device)
        self._size, self._crop, self._flip = size, crop, flip
        self._crop_scale = crop_scale
        self._mix = _mixture(mixup, cutmix, classes) if mixup or cutmix else None
        self._shuffle, self._seed, self._epoch, self._first_batch = shuffle, seed, 0, 0
        self._memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self._drop_last = drop_last
        indices = np.asarray(indices, dtype=np.int64)
        if self.device.type == "cpu":
            self._images = _as_tensor(np.ascontiguousarray(images))
            self._rows = torch.from_numpy(indices)
        else:
            self._images = self._upload(images, indices)
            self._rows = torch.arange(len(indices))
        self._labels = torch.from_numpy(np.asarray(labels, dtype=np.int64)[indices])
        self._labels = self._labels.to(self.device)
        # Repeated along a row of pixels: the three values of a pixel are too few to vectorize over.
        scale = 255 * torch.tensor(list(std) * size, dtype=torch.float64)
        shift = torch.tensor(list(mean) * size, dtype=torch.float64) * 255 / scale
        self._scale = (1 / scale).float().to(self.device)
        self._shift = shift.float().to(self.device)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        rounded = math.floor if self._drop_last else math.ceil
        return rounded(len(self._rows) / self.batch_size)

    @property
    def image_count(self) -> int:
        """Images in an epoch, without those that `drop_last` leaves out."""
        total = len(self._rows)
        return len(self) * self.batch_size if self._drop_last else total

    def set_epoch(self, epoch: int, first_batch: int = 0) -> None:
        """Make the next iteration that of `epoch` (from 0), from batch `first_batch` on."""
        self._epoch, self._first_batch = epoch, first_batch

    def __iter__(self) -> Iterator[Batch]:
        total = len(self._rows)
        generator = torch.Generator().manual_seed(derive_seed(self._seed, self._epoch))
        order = torch.randperm(total, generator=generator) if self._shuffle else None
        draw = torch.randint(0, 2 * self._crop + 1, (2, total), generator=generator)
        shifts = (draw - self._crop).to(self.device)
        flips = (torch.rand(total, generator=generator) < 0.5).to(self.device)
        resize = self._crop_scale != (1.0, 1.0)
        boxes = torch.rand(4, total if resize else 0, generator=generator).to(self.device)
        rows = (self._rows if order is None else self._rows[order]).to(self.device)
        labels = self._labels if order is None else self._labels[order.to(self.device)]
        for start in range(self._first_batch * self.batch_size, self.image_count, self.batch_size):
            part = slice(start, start + self.batch_size)
            if resize:
                images = self._normalized(self._images.index_select(0, rows[part]))
                images = self._resized(images, shifts[:, part], flips[part], boxes[:, part])
            elif self._crop or self._flip:
                images = self._normalized(self._augmented(rows[part], shifts[:, part], flips[part]))
            else:
                images = self._normalized(self._images.index_select(0, rows[part]))
            if self._mix is None:
                yield images, labels[part]
            else:
                yield self._mixed(images, labels[part], start // self.batch_size)

    def _augmented(
        self, rows: torch.Tensor, shifts: torch.Tensor, flips: torch.Tensor
    ) -> torch.Tensor:
        """Gather images shifted and mirrored, all pixels at once.

        Args:
            rows: [B], into the images.
            shifts: [2, B], in pixels, down and to the right.
            flips: bool [B].

        Returns:
            uint8 [B * S * S, 3].
        """
        line = torch.arange(self._size, device=self.device)
        y = self._reflect(line + shifts[0, :, None])
        x = self._reflect(line + shifts[1, :, None])
        if self._flip:
            x = torch.where(flips[:, None], x.flip(1), x)
        pixel = ((rows[:, None] * self._size + y) * self._size)[:, :, None] + x[:, None, :]
        return self._images.view(-1, 3).index_select(0, pixel.view(-1))

    def _resized(
        self, images: torch.Tensor, shifts: torch.Tensor, flips: torch.Tensor, draw: torch.Tensor
    ) -> torch.Tensor:
        """Cut a box out of each image, shifted and mirrored, and scale it up bilinearly.

        Args:
            images: float32 [B, 3, S, S].
            shifts: [2, B], in pixels, down and to the right.
            flips: bool [B].
            draw: float32 [4, B], from 0 to 1: the box's area, its aspect ratio, and how far down
                and to the right it lies.
        """
        low, high = self._crop_scale
        area = low + (high - low) * draw[0]
        aspect = torch.exp((2 * draw[1] - 1) * math.log(_WIDEST))
        height, width = (area / aspect).sqrt().clamp(max=1), (area * aspect).sqrt().clamp(max=1)
        # The whole image reaches from -1 to 1, so that a shift by a pixel is 2 / S.
        right = (2 * draw[3] - 1) * (1 - width) + shifts[1] * (2 / self._size)
        down = (2 * draw[2] - 1) * (1 - height) + shifts[0] * (2 / self._size)
        if self._flip:
            width = torch.where(flips, -width, width)
        line = (2 * torch.arange(self._size, device=self.device) + 1) / self._size - 1
        x = (width[:, None] * line + right[:, None])[:, None, :]
        y = (height[:, None] * line + down[:, None])[:, :, None]
        grid = torch.stack(torch.broadcast_tensors(x, y), 3)
        cut = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
        return cut.contiguous(memory_format=self._memory_format)

    def _mixed(self, images: torch.Tensor, labels: torch.Tensor, batch: int) -> Batch:
        """Mix the images of a batch, and their labels, as the batch's number says."""
        assert self._mix is not None
        # torchvision draws from the global generator, which is left as it was.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive_seed(self._seed, self._epoch, batch + 1))
            images, labels = self._mix(images, labels)
        return images.contiguous(memory_format=self._memory_format), labels

    def _reflect(self, position: torch.Tensor) -> torch.Tensor:
        """Mirror positions outside [0, S) at the border pixel, which is not repeated."""
        last = self._size - 1
        return last - (last - position.abs()).abs()

    def _normalized(self, pixels: torch.Tensor) -> torch.Tensor:
        """Normalize uint8 pixels to float32 [B, 3, S, S]."""
        lines = pixels.view(-1, self._size, self._size * 3).float()
        lines = lines.mul_(self._scale).sub_(self._shift)
        images = lines.view(-1, self._size, self._size, 3).permute(0, 3, 1, 2)
        return images.contiguous(memory_format=self._memory_format)

    def _upload(self, images: np.ndarray, indices: np.ndarray) -> torch.Tensor:
        shape = (len(indices), *images.shape[1:])
        uploaded = torch.empty(shape, dtype=torch.uint8, device=self.device)
        for start in range(0, len(indices), _UPLOAD_ROWS):
            part = slice(start, start + _UPLOAD_ROWS)
            uploaded[part] = torch.from_numpy(images[indices[part]]).to(self.device)
        return uploaded


def _as_tensor(array: np.ndarray) -> torch.Tensor:
    with warnings.catch_warnings():
        # Torch warns that an array mapped from disk is read-only; nothing here writes to it.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def _mixture(
    mixup: float, cutmix: float, classes: int
) -> Callable[[torch.Tensor, torch.Tensor], Batch]:
    """Make torchvision's transform of a batch."""
    # It takes seconds to import, and few runs need it.
    from torchvision.transforms import v2

    transforms = []
    if mixup:
        transforms.append(v2.MixUp(alpha=mixup, num_classes=classes))
    if cutmix:
        transforms.append(v2.CutMix(alpha=cutmix, num_classes=classes))
    mixture: Callable[[torch.Tensor, torch.Tensor], Batch] = v2.RandomChoice(transforms)
    return mixture


def derive_seed(*numbers: int) -> int:
    """Derive a generator's seed from numbers; neighbors give unrelated seeds."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
