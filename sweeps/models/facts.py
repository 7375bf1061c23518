"""What is known of a network without training it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.weak import WeakIdKeyDictionary

from interpodil import InterpodilConv2d


@dataclass(frozen=True)
class ModelFacts:
    """Sizes of a model.

    Attributes:
        layers: number of interpodilated convolutions.
        taps: heights and widths of their base kernels, as ``3x3`` or ``3x3, 5x5``.
        kernel_size: heights and widths of their effective kernels, in pixels, as ``7x7``.
        receptive_field: pixels of the image, along one axis, that a unit behind the last
            convolution or pooling sees; see :func:`receptive_fields`.
        parameters: number of trained values.
    """

    layers: int
    taps: str
    kernel_size: str
    receptive_field: int
    parameters: int


def model_facts(model: nn.Module, size: int) -> ModelFacts:
    """Measure a model built by :func:`sweeps.models.build_model` for images of ``size`` pixels."""
    layers = [m for m in model.modules() if isinstance(m, InterpodilConv2d)]
    fields = receptive_fields(model, size)
    return ModelFacts(
        layers=len(layers),
        taps=_sizes(layer.kernel_size for layer in layers),
        kernel_size=_sizes(layer.effective_size for layer in layers),
        receptive_field=max(fields.values()),
        parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
    )


def multiply_adds(model: nn.Module, images: Tensor) -> int:
    """Count the multiply-adds that a forward pass spends on each image.

    Those of convolutions and matrix products, as the layer's algorithm for such images makes them.

    Args:
        model: is run on the images in evaluation mode; nothing of it changes.
        images: float32 [B, 3, S, S], a batch as it is trained on.
    """
    counter = FlopCounterMode(display=False)
    with evaluation(model), torch.no_grad(), counter:
        model(images)
    return counter.get_total_flops() // 2 // len(images)


def _sizes(sizes: Any) -> str:
    return ", ".join("x".join(map(str, size)) for size in sorted(set(sizes)))


def receptive_fields(model: nn.Module, size: int) -> dict[str, int]:
    """Count the pixels along one axis that a unit behind each convolution sees.

    A convolution or pooling adds (kernel - 1) times the distance of its inputs in the image, and
    multiplies that distance by its stride. Where branches meet, the widest counts. What sees the
    whole image at once, as attention and squeeze-and-excitation do, is left out.

    Args:
        model: run on one black image, in evaluation mode; nothing of it changes.
        size: height and width of the image in pixels.

    Returns:
        By the names of the modules; under the empty name, that of the network.
    """
    parameter = next(model.parameters())
    image = torch.zeros(1, 3, size, size, device=parameter.device, dtype=parameter.dtype)
    follower = _Follower(image)
    hooks = [
        module.register_forward_hook(follower.convolution(name))
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    try:
        with evaluation(model), torch.no_grad(), follower:
            model(image)
    finally:
        for hook in hooks:
            hook.remove()
    return {**follower.fields, "": follower.widest}


@contextmanager
def evaluation(model: nn.Module) -> Iterator[None]:
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, was in training.items():
            module.training = was


class _Follower(TorchFunctionMode):
    """Follows what the feature maps of a network see, through whatever it computes.

    Attributes:
        fields: receptive fields by the names of convolutions.
        widest: the widest of all.
    """

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.fields: dict[str, int] = {}
        self.widest = 1
        # By feature map: its receptive field, and the distance of its units in the image.
        self._seen = WeakIdKeyDictionary({image: (1, 1)})

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        before = max(
            (self._seen[t] for t in _tensors((args, kwargs)) if t in self._seen), default=None
        )
        result = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if before is None or "adaptive" in name:
            return result
        if name in ("conv2d", "max_pool2d", "avg_pool2d"):
            before = self._wider(before, *_window(name, args, kwargs))
        for tensor in _tensors(result):
            # Shuffled channels have five axes for a moment; vectors are no feature maps.
            if tensor.dim() >= 4:
                self._seen[tensor] = before
        return result

    def convolution(self, name: str) -> Any:
        """Make a forward hook that notes what a convolution sees."""

        def note(module: nn.Conv2d, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if inputs[0] not in self._seen:
                return
            if isinstance(module, InterpodilConv2d):
                kernel = module.effective_size[-1]
            else:
                kernel = module.dilation[-1] * (module.kernel_size[-1] - 1) + 1
            self._seen[output] = self._wider(self._seen[inputs[0]], kernel, module.stride[-1])
            self.fields[name] = self._seen[output][0]

        return note

    def _wider(self, before: tuple[int, int], kernel: int, stride: int) -> tuple[int, int]:
        field, distance = before
        field += (kernel - 1) * distance
        self.widest = max(self.widest, field)
        return field, distance * stride


def _window(name: str, args: Any, kwargs: dict[str, Any]) -> tuple[int, int]:
    """The extent and the stride of a convolution's or a pooling's window, along the last axis."""

    def argument(position: int, key: str, default: Any) -> int:
        value = args[position] if len(args) > position else kwargs.get(key)
        value = default if value is None or value == [] else value
        return int(value if isinstance(value, int) else value[-1])

    if name == "conv2d":
        taps = (args[1] if len(args) > 1 else kwargs["weight"]).shape[-1]
        return argument(5, "dilation", 1) * (taps - 1) + 1, argument(3, "stride", 1)
    kernel = argument(1, "kernel_size", None)
    return kernel, argument(2, "stride", kernel)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(tuple(value.values()))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _tensors(inner)
