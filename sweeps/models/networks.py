"""Networks with the layer under test in them: by name, of torchvision, or a person's own."""

import contextlib
import socket
import sys
import urllib.error
import warnings
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.overrides import TorchFunctionMode

from interpodil import Conversion, InterpodilConv2d, convert, dirac_, spatial, stem, three_by_three
from sweeps.errors import SweepsError
from sweeps.spec.config import RunConfig
from sweeps.spec.imports import make_imported
from sweeps.spec.layer import LayerConfig, per_axis
from sweeps.spec.networks import ImportedModel, NamedModel, pixels_left

TUTORIAL_CHANNELS = 35
RESNET_STEM_CHANNELS = 64

_PREDICATES = {"stem": stem, "three_by_three": three_by_three, "spatial": spatial}
_SHOWN_NAMES = 12
# How long a silent network is waited for.
_DOWNLOAD_SECONDS = 20.0


def build_model(config: RunConfig, *, size: int, num_classes: int) -> nn.Module:
    """Build the network that a configuration names, initialized from torch's generator.

    Args:
        config: the run.
        size: height and width of the images in pixels.
        num_classes: number of outputs.

    Raises:
        SweepsError: the configuration does not fit images of this size, or the network.

    Example:
        >>> model = build_model(RunConfig(), size=32, num_classes=10)
        >>> model(torch.zeros(1, 3, 32, 32)).shape
        torch.Size([1, 10])
    """
    layer, model = config.layer, config.model
    if not model.has_new_stem:
        network = build_network(model, size=size, num_classes=num_classes)
        insert_layer(network, config)
        return network
    stride = per_axis(layer.stride or 1)
    if model.title == "tutorial":
        first = new_layer(layer, 3, TUTORIAL_CHANNELS, stride=stride, bias=True)
        return Tutorial(first, stride, size, num_classes)
    first = new_layer(layer, 3, RESNET_STEM_CHANNELS, stride=stride, bias=False)
    network = build_network(model, size=size, num_classes=num_classes)
    network.conv1 = first
    return network


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


def insert_layer(network: nn.Module, config: RunConfig) -> Conversion:
    """Convert the convolutions that ``model.where`` chooses, in place.

    They keep their taps, stride, padding, groups and weights, which are scaled for the output to
    keep its variance, times ``layer.init_scale``. ``layer.stride`` replaces the stride of a single
    one.

    Raises:
        SweepsError: none is chosen, or a setting of the layer does not fit one that is.
    """
    where = config.model.where
    predicate = _PREDICATES.get(where)

    def chosen(name: str, conv: Any) -> bool:
        return (
            predicate(name, conv) if predicate else spatial(name, conv) and fnmatchcase(name, where)
        )

    with warnings.catch_warnings():
        # An error below reports that nothing was converted.
        warnings.simplefilter("ignore", UserWarning)
        try:
            conversion = convert(
                network, chosen, keep_variance=True, **layer_arguments(config.layer)
            )
        except ValueError as error:
            raise SweepsError(f"layer: does not fit {config.model.title}: {error}") from None
    if not conversion.changed:
        raise SweepsError(f"model.where: {where} {_nothing_chosen(network, conversion)}")
    stride = config.layer.stride
    if stride is not None:
        if len(conversion.changed) > 1:
            raise SweepsError(
                f"layer.stride: model.where {where} means {len(conversion.changed)} convolutions "
                f"of {config.model.title}, which keep their strides; leave it out"
            )
        conversion.changed[0].after.stride = per_axis(stride)
    if config.layer.init == "dirac":
        for change in conversion.changed:
            _start_as_identity(change.after, change.name, config.layer.init_scale)
    return conversion


def _start_as_identity(layer: Any, name: str, scale: float) -> None:
    if layer.in_channels != layer.out_channels:
        raise SweepsError(
            f"layer.init: dirac needs as many output as input channels, and {name} has "
            f"{layer.out_channels} and {layer.in_channels}; choose others with model.where"
        )
    try:
        # Values on `meta` cannot be checked, and need not be set.
        if not layer.weight.is_meta:
            dirac_(layer)
    except ValueError as error:
        raise SweepsError(f"layer.init: {name}: {error}") from None
    with torch.no_grad():
        layer.weight.mul_(scale)


def _nothing_chosen(network: nn.Module, conversion: Conversion) -> str:
    names = [name for name, m in network.named_modules() if isinstance(m, _ConvNd)]
    kept = [skip for skip in conversion.skipped if skip.reason != "not chosen"]
    if kept:
        return (
            f"chooses no convolution that can become the layer: {kept[0].name} is {kept[0].reason}"
        )
    if not names:
        return "chooses nothing: the network has no convolution"
    rest = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return (
        "chooses no convolution with more than one tap; there are: "
        f"{', '.join(names[:_SHOWN_NAMES])}{rest}"
    )


def layer_arguments(config: LayerConfig) -> dict[str, Any]:
    """Return the layer's settings as arguments of the layer and of :func:`interpodil.convert`."""
    arguments = config.model_dump(exclude={"kernel_size", "stride", "init", "learn_tent", "blur"})
    return {**arguments, "learn_tent": config.learn_tent != "none" and config.learn_tent}


def new_layer(
    config: LayerConfig, in_channels: int, out_channels: int, *, stride: tuple[int, int], bias: bool
) -> nn.Module:
    """Build the layer under test, which keeps the image's size at stride 1."""
    layer = InterpodilConv2d(
        in_channels,
        out_channels,
        config.kernel_size,
        stride=stride,
        padding=tuple(taps // 2 for taps in per_axis(config.kernel_size)),
        bias=bias,
        **layer_arguments(config),
    )
    return nn.Sequential(Blur(in_channels), layer) if config.blur else layer


class Blur(nn.Conv2d):
    """The 3x3 binomial filter, (1 2 1) / 4 along each axis, of every channel; never trained."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            channels, channels, 3, padding=1, groups=channels, bias=False, padding_mode="reflect"
        )
        line = torch.tensor([0.25, 0.5, 0.25])
        self.weight.requires_grad_(False)
        self.weight.copy_(torch.outer(line, line).expand_as(self.weight))


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
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_DOWNLOAD_SECONDS)
    try:
        # Results go to stdout, and a progress bar is none.
        with contextlib.redirect_stdout(sys.stderr):
            state: Mapping[str, Tensor] = weights.get_state_dict(
                progress=sys.stderr.isatty(), check_hash=True, map_location="cpu", weights_only=True
            )
    except (OSError, RuntimeError) as error:
        is_http = isinstance(error, urllib.error.HTTPError)
        reason = error if is_http else getattr(error, "reason", error)
        folder = f"{torch.hub.get_dir()}/checkpoints"
        raise SweepsError(
            f"model.weights: cannot have those of {name}: {reason}; put {weights.url} into "
            f"{folder}, or use weights: none"
        ) from None
    finally:
        socket.setdefaulttimeout(timeout)
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
