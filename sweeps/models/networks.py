"""Networks without the layer: the tutorial's, torchvision's, or a person's own."""

import contextlib
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sweeps.data.download import bounded_network, network_reason
from sweeps.errors import SweepsError
from sweeps.spec.imports import make_imported
from sweeps.spec.networks import ImportedModel, NamedModel, pixels_left

TUTORIAL_CHANNELS = 35


def build_network(model: NamedModel | ImportedModel, *, size: int, num_classes: int) -> nn.Module:
    """Build a network as it is without the layer.

    Raises:
        SweepsError: it cannot be built for such images, or its weights cannot be had.
    """
    if isinstance(model, ImportedModel):
        shape = (3, size, size)
        network: nn.Module = make_imported(
            model.import_, model.options, "model", nn.Module, shape, num_classes
        )
        return network
    if model.name == "tutorial":
        first = nn.Conv2d(3, TUTORIAL_CHANNELS, 3, padding=1)
        return Tutorial(first, 1, size, num_classes)
    network = _of_torchvision(model.name, size, num_classes)
    if model.weights == "default":
        _load_weights(network, model.name, size, num_classes)
    return network


class Tutorial(nn.Module):
    """The small classifier of PyTorch's CIFAR-10 tutorial kind.

    Two 3x3 convolutions of 35 channels, each with ReLU and 2x2 max-pooling, and a linear layer.

    Args:
        first: the layer under test, 3 to 35 channels.
        first_stride: its stride, of both axes or of each.
        size: height and width of the images in pixels.
        num_classes: number of outputs.

    Shape:
        - Input: (N, 3, size, size)
        - Output: (N, num_classes)

    Raises:
        SweepsError: the stride leaves no pixel of images of this size.
    """

    def __init__(
        self, first: nn.Module, first_stride: int | tuple[int, int], size: int, num_classes: int
    ) -> None:
        super().__init__()
        height, width = pixels_left(first_stride, size)
        self.conv1 = first
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(TUTORIAL_CHANNELS, TUTORIAL_CHANNELS, 3, padding=1)
        self.pool2 = nn.MaxPool2d(2)
        self.fc = nn.Linear(TUTORIAL_CHANNELS * height * width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        # Maximum and ReLU commute exactly, and a pooled image has a quarter of the pixels.
        x = self.pool1(self.conv1(x)).relu_()
        x = self.pool2(self.conv2(x)).relu_()
        return self.fc(x.flatten(1))


def _of_torchvision(name: str, size: int, num_classes: int) -> nn.Module:
    # torchvision takes seconds to import, and `tutorial` does not need it.
    from torchvision import models

    special: dict[str, dict[str, Any]] = {
        "vit": {"image_size": size},
        "maxvit": {"input_size": (size, size)},
        # In training they would return the outputs of more classifiers than one.
        "googlenet": {"aux_logits": False},
        "inception": {"aux_logits": False},
    }
    arguments = special.get(name.split("_")[0], {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        try:
            network: nn.Module = models.get_model(
                name, weights=None, num_classes=num_classes, **arguments
            )
        except (ValueError, AssertionError, RuntimeError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise SweepsError(
                f"model.name: {name} takes no images of {size} pixels: {reason}"
            ) from None
    return network


def _load_weights(network: nn.Module, name: str, size: int, num_classes: int) -> None:
    """Load torchvision's default weights, but for the classifier, which stays as it is."""
    weights = _download(name)
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    with on_meta():
        other = _of_torchvision(name, size, num_classes + 1).state_dict()
    classifier = {key for key, shape in shapes.items() if other[key].shape != shape}
    unfit = [
        key
        for key, shape in shapes.items()
        if key not in classifier and (key not in weights or weights[key].shape != shape)
    ]
    if unfit:
        raise SweepsError(
            f"model.weights: those of {name} do not fit images of {size} pixels ({unfit[0]}); use "
            "weights: none, or the size that they were trained with"
        )
    kept = {key: value for key, value in weights.items() if key in shapes and key not in classifier}
    network.load_state_dict(kept, strict=False)


def _download(name: str) -> Mapping[str, Tensor]:
    """Read a network's default weights from torch.hub's folder, downloaded if they are not there.

    Raises:
        SweepsError: they cannot be downloaded.
    """
    from torchvision import models

    weights = models.get_model_weights(name).DEFAULT
    try:
        # Results go to stdout, and a progress bar is none.
        with bounded_network(), contextlib.redirect_stdout(sys.stderr):
            state: Mapping[str, Tensor] = weights.get_state_dict(
                progress=sys.stderr.isatty(), check_hash=True, map_location="cpu", weights_only=True
            )
    except (OSError, RuntimeError) as error:
        folder = f"{torch.hub.get_dir()}/checkpoints"
        raise SweepsError(
            f"model.weights: cannot have those of {name}: {network_reason(error)}; put "
            f"{weights.url} into {folder}, or use weights: none"
        ) from None
    return state


class _Meta(TorchFunctionMode):
    """Parameters on `meta`, and what a network computes with while it is built on the CPU."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in (torch.empty, torch.zeros, torch.ones) and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": "meta"}
        return func(*args, **kwargs)


@contextlib.contextmanager
def on_meta() -> Iterator[None]:
    """Build networks without memory for their parameters; move them with ``.to("meta")`` then."""
    with _Meta():
        yield
