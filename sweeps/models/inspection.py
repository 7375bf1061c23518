"""What the layer changes in a network: shapes, parameters, multiply-adds, receptive fields."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from interpodil import InterpodilConv2d
from sweeps.models.facts import evaluation, receptive_fields
from sweeps.models.layer import build_model
from sweeps.models.networks import build_network, on_meta
from sweeps.spec.config import RunConfig
from sweeps.spec.networks import ImportedModel


@dataclass(frozen=True)
class Measured:
    """A convolution, or a whole network.

    Attributes:
        kernel: its effective kernel, as ``7x7``; empty for a network.
        stride: along one axis.
        output: channels, height and width of what it returns for one image; for a network (N,).
        parameters: number of trained values.
        multiply_adds: of its convolutions and matrix products, for one image.
        receptive_field: pixels along one axis; ``None`` where the whole image is seen at once.
    """

    kernel: str
    stride: int
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int
    receptive_field: int | None


@dataclass(frozen=True)
class Inspection:
    """A network without the layer and with it, by the names of the convolutions that it becomes.

    Attributes:
        before, after: the convolutions; under the empty name, the network.
        convolutions: how many the network has in all.
    """

    before: dict[str, Measured]
    after: dict[str, Measured]
    convolutions: int


def inspect_network(config: RunConfig, *, size: int, num_classes: int) -> Inspection:
    """Measure a network without the layer and with it, on `meta` where it is torchvision's.

    Raises:
        SweepsError: the configuration does not fit the network, or images of this size.
    """
    networks = []
    for build in (
        lambda: build_network(config.model, size=size, num_classes=num_classes),
        lambda: build_model(config, size=size, num_classes=num_classes),
    ):
        if isinstance(config.model, ImportedModel):
            networks.append(build())
        else:
            with on_meta():
                networks.append(build())
            networks[-1].to("meta")
    plain, model = networks
    names = [name for name, m in model.named_modules() if isinstance(m, InterpodilConv2d)]
    return Inspection(
        _measure(plain, size, names),
        _measure(model, size, names),
        sum(isinstance(module, nn.Conv2d) for module in plain.modules()),
    )


def _measure(network: nn.Module, size: int, names: list[str]) -> dict[str, Measured]:
    fields = receptive_fields(network, size)
    outputs: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> None:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            outputs[name] = tuple(output.shape[1:])

        handles.append(network.get_submodule(name).register_forward_hook(hook))

    handles: list[torch.utils.hooks.RemovableHandle] = []
    for name in ("", *names):
        note(name)
    parameter = next(network.parameters())
    image = torch.zeros(1, 3, size, size, device=parameter.device, dtype=parameter.dtype)
    with FlopCounterMode(display=False) as counter, evaluation(network), torch.no_grad():
        network(image)
    for handle in handles:
        handle.remove()
    counts = counter.get_flop_counts()
    root = type(network).__name__
    measured = {}
    for name in ("", *names):
        module = network.get_submodule(name)
        kernel, stride = "", 1
        if isinstance(module, nn.Conv2d):
            kernel = "x".join(map(str, getattr(module, "effective_size", module.kernel_size)))
            stride = module.stride[-1]
        flops = counts.get(f"{root}.{name}" if name else "Global", {})
        measured[name] = Measured(
            kernel=kernel,
            stride=stride,
            output=outputs[name],
            parameters=sum(p.numel() for p in module.parameters()),
            multiply_adds=sum(flops.values()) // 2,
            receptive_field=fields.get(name),
        )
    return measured
