"""A search as most people write it: what the service's speed is compared with.

A dataset of PIL images with a transform for each image, a ``DataLoader`` with two processes,
float32, and one process with ``study.optimize``. The kernel of the layer is expanded by a
transposed convolution in each pass. Nothing here is slow on purpose.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms


@dataclass(frozen=True)
class Images:
    """Images and labels for training and validation, and their channels' statistics.

    Attributes:
        train, validation: uint8 [N, S, S, 3].
        train_labels, validation_labels: int [N].
        mean, std: of each channel, in 0..1.
    """

    train: np.ndarray
    train_labels: np.ndarray
    validation: np.ndarray
    validation_labels: np.ndarray
    mean: Sequence[float]
    std: Sequence[float]


class PilImages(Dataset):
    """Images as torchvision's datasets have them: an array, opened one by one."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, transform: Any) -> None:
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


class ExpandedConv2d(nn.Module):
    """The linear 7x7 layer, its kernel expanded in each pass."""

    def __init__(self, in_channels: int, out_channels: int, init_scale: float) -> None:
        super().__init__()
        plain = nn.Conv2d(in_channels, out_channels, 3)
        # 1.5 is the gain of the expansion.
        self.weight = nn.Parameter(plain.weight.detach() * (init_scale / 1.5))
        self.bias = plain.bias
        line = torch.tensor([0.5, 1.0, 0.5])
        self.register_buffer("tent", torch.outer(line, line)[None, None])

    def forward(self, x: Tensor) -> Tensor:
        """Convolve with a kernel of 7x7."""
        taps = self.weight.flatten(0, 1)[:, None]
        kernel = F.conv_transpose2d(taps, self.tent, stride=2)[:, 0]
        return F.conv2d(x, kernel.unflatten(0, self.weight.shape[:2]), self.bias, padding=3)


class Network(nn.Module):
    """The classifier of PyTorch's tutorial kind, for images of 32 pixels."""

    def __init__(self, init_scale: float) -> None:
        super().__init__()
        self.conv1 = ExpandedConv2d(3, 35, init_scale)
        self.conv2 = nn.Conv2d(35, 35, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(35 * 8 * 8, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [N, 10] of images [N, 3, 32, 32]."""
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        return self.fc(x.flatten(1))


def make_loaders(
    images: Images, batch_size: int, crop: int, processes: int = 2
) -> tuple[DataLoader, DataLoader]:
    """Make the loaders of the training and the validation images."""
    to_tensor = [transforms.ToTensor(), transforms.Normalize(images.mean, images.std)]
    augmented = transforms.Compose(
        [
            transforms.RandomCrop(len(images.train[0]), padding=crop, padding_mode="reflect"),
            transforms.RandomHorizontalFlip(),
            *to_tensor,
        ]
    )
    training = PilImages(images.train, images.train_labels, augmented)
    validation = PilImages(
        images.validation, images.validation_labels, transforms.Compose(to_tensor)
    )
    settings: dict[str, Any] = {"num_workers": processes, "persistent_workers": processes > 0}
    return (
        DataLoader(training, batch_size, shuffle=True, drop_last=True, **settings),
        DataLoader(validation, batch_size, **settings),
    )


def train(
    images: Images,
    *,
    learning_rate: float,
    init_scale: float,
    epochs: int,
    batch_size: int,
    crop: int,
    clip_norm: float,
    seed: int,
) -> float:
    """Train one configuration; return its validation accuracy after the last epoch."""
    torch.manual_seed(seed)
    training, validation = make_loaders(images, batch_size, crop)
    model = Network(init_scale)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=learning_rate, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        learning_rate,
        total_steps=epochs * len(training),
        pct_start=0.25,
        cycle_momentum=False,
    )
    accuracy = 0.0
    for _ in range(epochs):
        model.train()
        for batch, labels in training:
            optimizer.zero_grad()
            F.cross_entropy(model(batch), labels).backward()
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
            optimizer.step()
            schedule.step()
        model.eval()
        right = seen = 0
        with torch.no_grad():
            for batch, labels in validation:
                right += int((model(batch).argmax(1) == labels).sum())
                seen += len(labels)
        accuracy = right / seen
    return accuracy


def search(
    images: Images, trials: Sequence[dict[str, float]], settings: dict[str, Any]
) -> list[float]:
    """Run a list of trials with Optuna; return their accuracies."""
    study = optuna.create_study(direction="maximize")
    for values in trials:
        study.enqueue_trial({name: values[name] for name in ("learning_rate", "init_scale")})

    def objective(trial: optuna.Trial) -> float:
        return train(
            images,
            learning_rate=trial.suggest_float("learning_rate", 1e-4, 1),
            init_scale=trial.suggest_float("init_scale", 0.1, 10),
            **settings,
        )

    study.optimize(objective, n_trials=len(trials))
    return [trial.value for trial in study.trials]
