"""The effective kernels of configurations, before any training, and what frequencies they pass."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from interpodil import expansion_tensor
from sweeps.reporting.report.chart import COLORS, DASHES, Chart, Grid, Line, shown
from sweeps.spec.layer import LayerConfig, per_axis

# From 0 to pi.
_STEPS = 64


def kernel_charts(layers: Mapping[str, LayerConfig]) -> tuple[list[Chart], list[Chart]]:
    """Draw the effective kernel of each layer by its name, and the frequency responses together.

    What is shown depends on no weights: it is the root mean square over random base weights, all
    of one variance, as they are before training.
    """
    expansions = {name: expansion(layer) for name, layer in layers.items()}
    grids = []
    for index, (name, taps) in enumerate(expansions.items()):
        weight = taps.square().sum(0).sqrt()
        height, width = weight.shape
        grids.append(
            Chart(
                key=f"kernel-{index}",
                title=shown(name, 24),
                alt=f"The effective kernel of {name}, {height}x{width} pixels.",
                marks=[Grid((weight / weight.max()).tolist(), COLORS[index % len(COLORS)])],
                caption=f"{height}x{width} pixels, {_tent(layers[name])}",
            )
        )
    return grids, [_response_chart(expansions)]


def _tent(layer: LayerConfig) -> str:
    if set(per_axis(layer.dilation)) == {1}:
        return "without gaps"
    return layer.tent or f"edge {layer.edge:.3g}, corner {layer.corner:.3g}"


def expansion(layer: LayerConfig) -> Tensor:
    """Return the tent as placed at each tap: (taps, height, width)."""
    settings = ("kernel_size", "dilation", "fade", "growth", "edge", "corner", "tent")
    return expansion_tensor(**{name: getattr(layer, name) for name in settings})


def response(taps: Tensor) -> Tensor:
    """Return the share of each horizontal frequency that passes, from 0 to pi: (steps + 1,).

    It is the root mean square of the response's magnitude over random base weights, relative to
    that at frequency 0. A plain convolution has 1 everywhere, dilated or not.
    """
    spectrum = torch.fft.rfft(taps.sum(dim=1), n=2 * _STEPS, dim=1).abs()
    power = spectrum.square().sum(0)
    return (power / power[0]).sqrt()


def _response_chart(expansions: Mapping[str, Tensor]) -> Chart:
    frequencies = torch.linspace(0, math.pi, _STEPS + 1).tolist()
    ends, lines = [], []
    for index, (name, taps) in enumerate(expansions.items()):
        values = response(taps).tolist()
        ends.append(f"{name} {values[-1]:.0%}")
        color, dash = COLORS[index % len(COLORS)], DASHES[index % len(DASHES)]
        lines.append(Line(frequencies, values, name, color, dash))
    return Chart(
        key="frequency-response",
        title="Frequencies that pass",
        alt=f"Of the highest frequency passes: {', '.join(ends)}.",
        marks=lines,
        x_title="horizontal frequency (radians per pixel)",
        y_title="relative to frequency 0",
        caption="A plain convolution, dilated or not, lets all frequencies pass alike on average; "
        "the tent between the taps damps the high ones, which a stride would alias.",
        x_ticks={0: "0", math.pi / 2: "π/2", math.pi: "π"},
        y_range=(0, 1.1),
    )
