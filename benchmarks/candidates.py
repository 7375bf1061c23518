"""What is compared: a plain convolution, the layer's settings and algorithms, and DCLS."""

import importlib.util
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from torch import nn

from benchmarks.shapes import Shape
from interpodil import InterpodilConv2d

PLAIN = "plain"
DCLS = "dcls"
DCLS_VERSIONS = ("gauss", "max", "v1")

# Effective size, its arguments, and the named algorithms that apply to it beside "expanded".
SETTINGS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "7x7": ({}, ("tent_first", "separable_tent", "axis_first")),
    "5x5": ({"growth": 5}, ("axis_first",)),
    "11x11": ({"fade": 3}, ("axis_first",)),
}


@dataclass(frozen=True)
class Candidate:
    """One way to compute a layer.

    Attributes:
        name: what tables and files call it.
        build: makes the layer for a shape, on the CPU in float32.
        every: it is measured in every so many-th round.
        setting: makes the context that it runs in, outside the clock.
    """

    name: str
    build: Callable[[Any], nn.Module]
    every: int = 1
    setting: Callable[[], AbstractContextManager[None]] = nullcontext


def choose_candidates(
    every_algorithm: bool, dcls_version: str, slow_every: int
) -> tuple[list[Candidate], dict[str, str]]:
    """Return the candidates, the plain convolution first, and why others were left out.

    Args:
        every_algorithm: whether to measure each algorithm that applies to a setting by its name.
        dcls_version: the interpolation of DCLS, one of ``DCLS_VERSIONS``.
        slow_every: ``every`` of the candidates that are much slower than a plain convolution.
    """
    candidates = [Candidate(PLAIN, _plain)]
    for size, (arguments, algorithms) in SETTINGS.items():
        for algorithm in ("auto", "expanded", *(algorithms if every_algorithm else ())):
            build = _interpodilated(arguments | {"algorithm": algorithm})
            every = slow_every if algorithm == "expanded" else 1
            candidates.append(Candidate(f"{size} {algorithm}", build, every))
    if importlib.util.find_spec("DCLS") is None:
        return candidates, {DCLS: "the package dcls is not installed (the extra `bench` has it)"}
    candidates.append(Candidate(DCLS, _dcls(dcls_version), slow_every))
    return candidates, {}


def _plain(shape: Shape) -> nn.Module:
    return nn.Conv2d(shape.in_channels, shape.out_channels, 3, shape.stride, padding=1, bias=False)


def _interpodilated(arguments: dict[str, Any]) -> Callable[[Shape], nn.Module]:
    def build(shape: Shape) -> nn.Module:
        return InterpodilConv2d(
            shape.in_channels,
            shape.out_channels,
            3,
            stride=shape.stride,
            padding=1,
            bias=False,
            **arguments,
        )

    return build


def _dcls(version: str) -> Callable[[Shape], nn.Module]:
    """Nine weights with learnt positions in 7x7 pixels (Khalfaoui-Hassani et al. 2023)."""

    def build(shape: Shape) -> nn.Module:
        from DCLS.construct.modules import Dcls2d

        # It logs at every construction that its depthwise kernel for CUDA does not apply.
        logging.disable(logging.WARNING)
        try:
            return Dcls2d(
                shape.in_channels,
                shape.out_channels,
                kernel_count=9,
                stride=shape.stride,
                padding=3,
                dilated_kernel_size=7,
                bias=False,
                version=version,
            )
        finally:
            logging.disable(logging.NOTSET)

    return build
