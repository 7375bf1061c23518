"""Effective kernels, before training and after it, and what frequencies they pass."""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from types import MappingProxyType

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn.functional import conv2d

from interpodil import expansion_tensor
from sweeps.errors import SweepsError
from sweeps.reporting.report.chart import COLORS, DASHES, Chart, Grid, Line, shown
from sweeps.reporting.report.document import Block, Charts
from sweeps.spec.files import load_yaml
from sweeps.spec.layer import LayerConfig, per_axis

_WORDS = (
    "The layer spreads its few weights over more pixels. Each square is a pixel of the kernel that "
    "results, the stronger its color the more it counts; before training, where nothing else is "
    "said."
)
# What the tent as placed at each tap depends on.
_FORM = ("kernel_size", "dilation", "fade", "growth", "edge", "corner", "tent")
# From 0 to pi.
_STEPS = 64
# Of a network with many, the first ones.
_MOST_LAYERS = 3


@dataclass(frozen=True)
class _Kernel:
    """Kernels of a layer, (number, height, width); what to note of them; and their color."""

    taps: Tensor
    note: str
    color: str


def kernel_blocks(
    layers: Mapping[str, LayerConfig],
    weights: Path | None,
    studies: Collection[str],
    colors: Mapping[str, str] = MappingProxyType({}),
) -> list[Block]:
    """Draw the kernels of layers, each alone, and what frequencies they pass, together.

    Args:
        layers: by name; those that have the same kernel are drawn once.
        weights: a file of ``sweeps train --save``, whose trained kernels are shown too.
        studies: those that its configuration may come from.
        colors: of the layers, where they have some elsewhere.

    Raises:
        SweepsError: the weights are none, or of another study.
    """
    kernels: dict[str, _Kernel] = {}
    same: dict[str, list[str]] = {}
    for name, layer in layers.items():
        same.setdefault(str([getattr(layer, each) for each in (*_FORM, "blur")]), []).append(name)
    for first, *others in same.values():
        color = colors.get(first, COLORS[len(kernels) % len(COLORS)])
        name = ", ".join([first, *others])
        kernels[name] = _Kernel(expansion(layers[first]), _tent(layers[first]), color)
    trained = {} if weights is None else _read_trained(weights, studies)
    for name, taps in trained.items():
        kernels[name] = _Kernel(taps, "after training", COLORS[len(kernels) % len(COLORS)])
    if not kernels:
        return []
    grids = [_grid_chart(f"kernel-{index}", *each) for index, each in enumerate(kernels.items())]
    return [_WORDS, Charts(grids), Charts([_response_chart(kernels)])]


def _read_trained(file: Path, studies: Collection[str]) -> dict[str, Tensor]:
    """Read the trained kernels of layers, by name, from a file of ``sweeps train --save``."""
    try:
        with safe_open(file, framework="pt") as opened:
            known = opened.metadata() or {}
            names = json.loads(known["layers"])[:_MOST_LAYERS]
            source = load_yaml(known["configuration"], str(file))["source"] or {}
            kernels = {name: opened.get_tensor(f"{name}.weight").flatten(0, 1) for name in names}
    except (OSError, SafetensorError, KeyError) as error:
        raise SweepsError(
            f"{file}: has no weights of a study ({error}); `sweeps train --save` writes them"
        ) from None
    if source.get("study") not in studies:
        names = " or ".join(sorted(studies))
        raise SweepsError(f"{file}: holds weights of study {source.get('study')}, not of {names}")
    return {f"{name} of trial {source['trial']}": kernel for name, kernel in kernels.items()}


def _tent(layer: LayerConfig) -> str:
    if set(per_axis(layer.dilation)) == {1}:
        return "blurred" if layer.blur else "without gaps"
    return layer.tent or f"edge {layer.edge:.3g}, corner {layer.corner:.3g}"


def expansion(layer: LayerConfig) -> Tensor:
    """Return the tent as placed at each tap, with a blur before it: (taps, height, width)."""
    taps = expansion_tensor(**{name: getattr(layer, name) for name in _FORM})
    if not layer.blur:
        return taps
    line = torch.tensor([1, 2, 1], dtype=taps.dtype) / 4
    return conv2d(taps[:, None], torch.outer(line, line)[None, None], padding=2)[:, 0]


def response(kernels: Tensor) -> Tensor:
    """Return the share of each horizontal frequency that passes, from 0 to pi: (steps + 1,).

    It is the root mean square of the magnitude over all kernels (number, height, width), relative
    to that at frequency 0. A plain convolution with random weights has 1 everywhere, dilated or
    not.
    """
    spectrum = torch.fft.rfft(kernels.double().sum(dim=1), n=2 * _STEPS, dim=1).abs()
    power = spectrum.square().sum(0)
    return (power / power[0]).sqrt()


def _grid_chart(key: str, name: str, kernel: _Kernel) -> Chart:
    """Draw the root mean square over all of a layer's kernels."""
    # Before training, over random base weights, all of one variance.
    weight = kernel.taps.double().square().mean(0).sqrt()
    height, width = weight.shape
    return Chart(
        key=key,
        title=shown(name, 60),
        alt=f"The effective kernel of {name}, {height}x{width} pixels.",
        marks=[Grid((weight / weight.max()).tolist(), kernel.color)],
        caption=f"{height}x{width} pixels, {kernel.note}",
    )


def _response_chart(kernels: Mapping[str, _Kernel]) -> Chart:
    frequencies = torch.linspace(0, math.pi, _STEPS + 1).tolist()
    lines = [
        Line(frequencies, response(kernel.taps).tolist(), name, kernel.color, dash)
        for (name, kernel), dash in zip(kernels.items(), cycle(DASHES))
    ]
    ends = [f"{line.name} {line.y[-1]:.0%}" for line in lines]
    return Chart(
        key="frequencies",
        title="Frequencies that pass",
        alt=f"Of the highest frequency passes: {', '.join(ends)}.",
        marks=lines,
        x_title="horizontal frequency (radians per pixel)",
        y_title="relative to frequency 0",
        caption="With random weights a plain convolution, dilated or not, lets all frequencies "
        "pass alike; the tent between the taps damps the high ones, which a stride would alias.",
        x_ticks={0: "0", math.pi / 2: "π/2", math.pi: "π"},
        y_range=(0, max(1.1, *(1.05 * max(line.y) for line in lines))),
    )
