"""Whether the networks of a sweep can be built, before any trial.

The process of ``sweeps run`` imports no torch; it runs ``python -m sweeps.models.check``.
"""

import json
import sys
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from interpodil import InterpodilConv2d, dirac_
from sweeps.errors import SweepsError, one_line
from sweeps.models.layer import build_model, layer_arguments
from sweeps.models.networks import on_meta
from sweeps.spec.checks import probe_values
from sweeps.spec.config import RunConfig
from sweeps.spec.networks import ImportedModel
from sweeps.spec.spec import Spec, parse_spec

_MAX_NETWORKS = 64
_BATCH = 2


def check_networks(spec: Spec, size: int, num_classes: int) -> None:
    """Build each network that a spec can search, and run a batch through it.

    Networks of torchvision without weights are built on ``meta``, others on the CPU. Of very many,
    the first 64 are built. The layer's settings are tried with the taps of each network's layers.

    Raises:
        SweepsError: what does not fit, with the key that asks for it.
    """
    built: dict[tuple[object, ...], set[tuple[int, ...]]] = {}
    for where, config in _configs(spec):
        layer = config.layer
        network = (config.model.model_dump_json(), layer.kernel_size, layer.stride, layer.init)
        if network not in built and len(built) == _MAX_NETWORKS:
            continue
        try:
            if network not in built:
                built[network] = _check_network(config, size, num_classes)
            for taps in built[network]:
                _check_layer(config, taps)
        except SweepsError as error:
            raise SweepsError(": ".join(filter(None, (spec.name, where, str(error))))) from None


def _configs(spec: Spec) -> Iterator[tuple[str, RunConfig]]:
    base = spec.base_config()
    yield "", base
    for where, values in probe_values(spec):
        yield where, base.with_values(values)


def _check_network(config: RunConfig, size: int, num_classes: int) -> set[tuple[int, ...]]:
    """Build a network and run a batch through it; return the taps of its interpodilated layers."""
    model = config.model
    if isinstance(model, ImportedModel) or model.weights == "default":
        network = build_model(config, size=size, num_classes=num_classes)
    else:
        with on_meta():
            network = build_model(config, size=size, num_classes=num_classes)
        network.to("meta")
    _check_output(network, model.title, size, num_classes)
    layers = (m for m in network.modules() if isinstance(m, InterpodilConv2d))
    return {layer.kernel_size for layer in layers}


def _check_layer(config: RunConfig, taps: tuple[int, ...]) -> None:
    try:
        layer = InterpodilConv2d(1, 1, taps, **layer_arguments(config.layer))
        if config.layer.init == "dirac":
            dirac_(layer)
    except ValueError as error:
        kernel = "x".join(map(str, taps))
        raise SweepsError(f"a {kernel} convolution of {config.model.title}: {error}") from None


def _check_output(network: nn.Module, title: str, size: int, num_classes: int) -> None:
    parameter = next(network.parameters())
    images = torch.zeros(_BATCH, 3, size, size, device=parameter.device, dtype=parameter.dtype)
    try:
        with torch.no_grad():
            output = network.train()(images)
    except Exception as error:
        raise SweepsError(
            f"model: {title} cannot compute images of {size} pixels: {one_line(error)}"
        ) from None
    wanted = (_BATCH, num_classes)
    if not isinstance(output, Tensor):
        raise SweepsError(
            f"model: {title} returns {type(output).__name__} in training, not a tensor of shape "
            f"(N, {num_classes})"
        )
    if output.shape != wanted:
        raise SweepsError(
            f"model: {title} returns shape {tuple(output.shape)} for {_BATCH} images, not "
            f"{wanted}: a number for each of the {num_classes} classes"
        )


def main() -> int:
    """Check the spec that standard input holds; what does not fit goes to standard output."""
    asked = json.load(sys.stdin)
    try:
        check_networks(parse_spec(asked["spec"], asked["name"]), asked["size"], asked["classes"])
    except SweepsError as error:
        print(error)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
