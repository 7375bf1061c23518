"""Effective kernels, before training and after it, and what frequencies they pass."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from interpodil import expansion_tensor
from sweeps.errors import SweepsError
from sweeps.reporting.report.chart import COLORS, DASHES, Chart, Grid, Line, shown
from sweeps.spec.files import load_yaml
from sweeps.spec.layer import LayerConfig, per_axis

# From 0 to pi.
_STEPS = 64
# Of a network with many, the first ones.
_MOST_LAYERS = 3


def kernel_charts(
    layers: Mapping[str, LayerConfig], trained: Mapping[str, Tensor]
) -> tuple[list[Chart], list[Chart]]:
    """Draw kernels by their names, each alone, and what frequencies they pass, together.

    Args:
        layers: what is shown of them depends on no weights: it is the root mean square over random
            base weights, all of one variance, as they are before training.
        trained: kernels after training, (number, height, width), of which it is the root mean
            square over all.
    """
    notes = {name: _tent(layer) for name, layer in layers.items()}
    kernels = {name: expansion(layer) for name, layer in layers.items()} | dict(trained)
    grids = []
    for index, (name, kernel) in enumerate(kernels.items()):
        weight = kernel.double().square().mean(0).sqrt()
        height, width = weight.shape
        grids.append(
            Chart(
                key=f"kernel-{index}",
                title=shown(name, 32),
                alt=f"The effective kernel of {name}, {height}x{width} pixels.",
                marks=[Grid((weight / weight.max()).tolist(), COLORS[index % len(COLORS)])],
                caption=f"{height}x{width} pixels, {notes.get(name, 'after training')}",
            )
        )
    return grids, [_response_chart(kernels)]


def read_trained(file: Path, study: str) -> dict[str, Tensor]:
    """Read the trained kernels of the layers, by name, (number, height, width).

    Args:
        file: what ``sweeps train --save FILE.safetensors`` wrote.
        study: the study that its configuration has to come from.

    Raises:
        SweepsError: it is no such file, or of another study.
    """
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
    if source.get("study") != study:
        raise SweepsError(f"{file}: holds weights of study {source.get('study')}, not of {study}")
    return {f"{name} of trial {source['trial']}": kernel for name, kernel in kernels.items()}


def _tent(layer: LayerConfig) -> str:
    if set(per_axis(layer.dilation)) == {1}:
        return "without gaps"
    return layer.tent or f"edge {layer.edge:.3g}, corner {layer.corner:.3g}"


def expansion(layer: LayerConfig) -> Tensor:
    """Return the tent as placed at each tap: (taps, height, width)."""
    settings = ("kernel_size", "dilation", "fade", "growth", "edge", "corner", "tent")
    return expansion_tensor(**{name: getattr(layer, name) for name in settings})


def response(kernels: Tensor) -> Tensor:
    """Return the share of each horizontal frequency that passes, from 0 to pi: (steps + 1,).

    It is the root mean square of the magnitude over all kernels (number, height, width), relative
    to that at frequency 0. A plain convolution with random weights has 1 everywhere, dilated or
    not.
    """
    spectrum = torch.fft.rfft(kernels.double().sum(dim=1), n=2 * _STEPS, dim=1).abs()
    power = spectrum.square().sum(0)
    return (power / power[0]).sqrt()


def _response_chart(kernels: Mapping[str, Tensor]) -> Chart:
    frequencies = torch.linspace(0, math.pi, _STEPS + 1).tolist()
    highest, ends, lines = 1.1, [], []
    for index, (name, kernel) in enumerate(kernels.items()):
        values = response(kernel).tolist()
        highest = max(highest, 1.05 * max(values))
        ends.append(f"{name} {values[-1]:.0%}")
        color, dash = COLORS[index % len(COLORS)], DASHES[index % len(DASHES)]
        lines.append(Line(frequencies, values, name, color, dash))
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
        y_range=(0, highest),
    )
