"""The expansion: the linear map from the base weights to the effective kernel."""

import contextlib
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from interpodil.spread import Spread, canonical_window, make_spread
from interpodil.tent import make_tent

# Weights of the tent's samples in every pixel, for every tap of one axis.
_Placement = list[list[list[float]]]


def expansion_tensor(
    kernel_size: int | Sequence[int] = 3,
    dilation: int | Sequence[int] = 2,
    fade: float | Sequence[float] | None = None,
    growth: int | Sequence[int | None] | None = None,
    edge: float | Tensor = 0.5,
    corner: float | Tensor = 0.25,
    *,
    tent: str | Tensor | None = None,
    channels: int = 1,
    dims: int = 2,
) -> Tensor:
    r"""Return for every tap the tent as placed, :math:`E` of the formula

    .. math::
        \text{effective}_{uv} = \sum_j \text{base}_j \, E_{juv}, \quad
        E_{juv} = \tau\bigl(t(u, j_0), \; t(v, j_1)\bigr)

    with :math:`\tau` the multilinear interpolation of the tent's samples, zero from :math:`\pm d`
    on. Inside the canonical window :math:`t(u, j) = u - d j`. A pixel :math:`o` beyond an end of
    the window sees the tap at that end alone, through a tent stretched to reach zero at
    :math:`f + 1` pixels: :math:`t = \pm o d / (f + 1)`.

    Interpolated kernels with learnable positions are due to Khalfaoui-Hassani et al. 2023, "Dilated
    Convolution with Learnable Spacings"; here the positions are fixed.

    Args:
        kernel_size: taps per axis.
        dilation: pixels between neighbouring taps.
        fade: pixels :math:`f` beyond the outermost taps over which the kernel falls to zero,
            ``None`` for ``dilation - 1``.
        growth: size the effective kernel is cropped to, or ``None`` to keep all of it.
        edge: the tent's coefficient half-way to the next tap along one axis.
        corner: the tent's coefficient half-way along two axes.
        tent: a profile's name or a tensor, instead of the coefficients.
        channels: channels of the input, where ``tent`` holds one tent for each.
        dims: number of axes, where ``kernel_size`` is an int.

    Shape:
        - Output: :math:`(k_0 k_1, S_0, S_1)`, taps in row-major order, with a leading axis of
          channels where there is a tent for each; in double precision on the CPU unless the tent
          or a coefficient is a tensor

    Raises:
        ValueError: if an argument breaks a rule of :class:`interpodil.InterpodilConv2d`.

    Example::

        >>> expansion_tensor(1)[0]
        tensor([[0.2500, 0.5000, 0.2500],
                [0.5000, 1.0000, 0.5000],
                [0.2500, 0.5000, 0.2500]], dtype=torch.float64)
    """
    axes = dims if isinstance(kernel_size, int) else len(kernel_size)
    spread = make_spread(kernel_size, dilation, fade, growth, axes)
    surface = make_tent(spread.dilation, edge, corner, tent, channels)
    return place(surface, spread)


def place(surface: Tensor, spread: Spread) -> Tensor:
    """Place a tent at every tap.

    Shape:
        - surface: :math:`(2 d_0 - 1, ...)`, or with a leading axis of channels
        - Output: :math:`(k_0 k_1, S_0, S_1)`, with the same leading axis if any
    """
    dims = spread.dims
    placed = surface
    with in_full_precision(surface.device.type):
        for k, d, fade, size in zip(
            spread.kernel_size, spread.dilation, spread.fade, spread.effective_size, strict=True
        ):
            # Consumes the tent's next axis and appends the axis' taps and pixels.
            weights = torch.tensor(
                _placement(k, d, fade, size), dtype=surface.dtype, device=surface.device
            )
            axis = surface.dim() - dims
            placed = torch.tensordot(placed, weights, dims=([axis], [2]))
    first = surface.dim() - dims
    taps = [first + 2 * axis for axis in range(dims)]
    pixels = [tap + 1 for tap in taps]
    return placed.permute(*range(first), *taps, *pixels).flatten(first, first + dims - 1)


def expand(weight: Tensor, expansion: Tensor, groups: int = 1) -> Tensor:
    """Apply an expansion to base weights, in their own precision even under autocast.

    Shape:
        - weight: :math:`(C_{out}, C_{in} / groups, k_0, k_1)`
        - expansion: :math:`(k_0 k_1, S_0, S_1)` or :math:`(C_{in}, k_0 k_1, S_0, S_1)`
        - Output: :math:`(C_{out}, C_{in} / groups, S_0, S_1)`
    """
    dims = weight.dim() - 2
    size = expansion.shape[-dims:]
    matrix = expansion.flatten(-dims)
    taps = weight.flatten(2)
    with in_full_precision(weight.device.type):
        if matrix.dim() == 2:
            kernel = taps @ matrix
        else:
            taps = taps.unflatten(0, (groups, -1))
            matrix = matrix.unflatten(0, (groups, -1))
            kernel = torch.einsum("goik,gikp->goip", taps, matrix).flatten(0, 1)
    return kernel.unflatten(2, size)


def in_full_precision(device_type: str) -> contextlib.AbstractContextManager[None]:
    """A context without autocast; devices that have none, such as meta, refuse the real one."""
    if torch.amp.is_autocast_available(device_type):
        return torch.autocast(device_type, enabled=False)
    return contextlib.nullcontext()


def _placement(kernel_size: int, dilation: int, fade: float, size: int) -> _Placement:
    """What of the tent each pixel of an axis sees, as ``[tap][pixel][sample]``."""
    window = canonical_window(kernel_size, dilation)
    margin = (size - window) // 2
    placement = []
    for tap in range(kernel_size):
        pixels = []
        for pixel in range(-margin, window + margin):
            position: float = pixel - dilation * tap
            if pixel < 0 or pixel >= window:
                nearest = 0 if pixel < 0 else kernel_size - 1
                beyond = pixel - dilation * nearest
                # A position at the dilation is where the tent is zero.
                position = beyond * dilation / (fade + 1) if tap == nearest else dilation
            pixels.append(_sample_weights(position, dilation))
        placement.append(pixels)
    return placement


def _sample_weights(position: float, dilation: int) -> list[float]:
    """Weights of the tent's samples at a real position, by linear interpolation."""
    below = math.floor(position)
    fraction = position - below
    weights = [0.0] * (2 * dilation - 1)
    for sample, weight in ((below, 1 - fraction), (below + 1, fraction)):
        if abs(sample) < dilation:
            weights[sample + dilation - 1] += weight
    return weights
