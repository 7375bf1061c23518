"""The expansion, a linear map from the base weights to the effective kernel, and its gain."""

import contextlib
import functools
import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from interpodil.spread import Spread, canonical_window, make_spread, number
from interpodil.tents import make_tent

Signal = Literal["white", "constant"]

# Weights of the tent's samples in every pixel, for every tap of one axis.
_Placement = tuple[tuple[tuple[float, ...], ...], ...]


def expansion_tensor(
    kernel_size: int | Sequence[int] = 3,
    dilation: int | Sequence[int] = 2,
    fade: float | Sequence[float] | None = None,
    growth: int | Sequence[int | None] | None = None,
    edge: float | Tensor = 0.5,
    corner: float | Tensor = 0.25,
    *,
    tent: str | Tensor | None = None,
    dims: int = 2,
) -> Tensor:
    r"""Return the tent as placed at every tap, :math:`E` of the formula

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
        dilation: pixels between neighboring taps.
        fade: pixels :math:`f` beyond the outermost taps over which the kernel falls to zero,
            ``None`` for ``dilation - 1``.
        growth: size the effective kernel is cropped to, or ``None`` to keep all of it.
        edge: the tent's coefficient half-way to the next tap along one axis.
        corner: the tent's coefficient half-way along two axes.
        tent: a profile's name or a tensor, instead of the coefficients.
        dims: number of axes if ``kernel_size`` is an int.

    Shape:
        - Output: :math:`(k_0 k_1, S_0, S_1)`, taps in row-major order, with a leading axis of
          channels for one tent per channel; in double precision on the CPU, unless the tent or a
          coefficient is a tensor

    Raises:
        ValueError: if an argument breaks a rule of :class:`interpodil.InterpodilConv2d`.

    Example::

        >>> expansion_tensor(1)[0]
        tensor([[0.2500, 0.5000, 0.2500],
                [0.5000, 1.0000, 0.5000],
                [0.2500, 0.5000, 0.2500]], dtype=torch.float64)
    """
    axes = count_axes(kernel_size, dims)
    spread = make_spread(kernel_size, dilation, fade, growth, axes)
    surface = make_tent(spread.dilation, edge, corner, tent)
    return place(surface, spread)


def count_axes(kernel_size: int | Sequence[int], dims: int) -> int:
    """Return the number of spatial axes: that of the kernel sizes, or ``dims`` for an int.

    Raises:
        ValueError: if it is not 1, 2 or 3.
    """
    axes = len(kernel_size) if isinstance(kernel_size, Sequence) else dims
    if axes not in (1, 2, 3):
        raise ValueError(
            f"there must be 1, 2 or 3 axes, got kernel_size={kernel_size!r} and {dims=}"
        )
    return axes


def placements(spread: Spread, like: Tensor) -> list[Tensor]:
    """Return the weights of the tent's samples for every axis, by tap and pixel.

    Shape:
        - Output: :math:`(k_i, S_i, 2 d_i - 1)` for each axis, with the device and dtype of ``like``
    """
    # Compilers trace through caches and warn about them.
    compute = _placement if torch.compiler.is_compiling() else _cached_placement
    axes = zip(spread.kernel_size, spread.dilation, spread.fade, spread.effective_size, strict=True)
    return [torch.tensor(compute(*axis), dtype=like.dtype, device=like.device) for axis in axes]


def place(surface: Tensor, spread: Spread, axis_weights: Sequence[Tensor] | None = None) -> Tensor:
    """Place a tent at every tap.

    Args:
        surface: the tent.
        spread: where the taps lie.
        axis_weights: the :func:`placements` of the spread, if known.

    Shape:
        - surface: :math:`(2 d_0 - 1, ...)`, or with a leading axis of channels
        - Output: :math:`(k_0 k_1, S_0, S_1)`, with the same leading axis, if any
    """
    dims = spread.dims
    placed = surface
    with in_full_precision(surface.device.type):
        for weights in placements(spread, surface) if axis_weights is None else axis_weights:
            # Consumes the tent's next axis and appends the axis' taps and pixels.
            axis = surface.dim() - dims
            placed = torch.tensordot(placed, weights, dims=([axis], [2]))
    first = surface.dim() - dims
    taps = [first + 2 * axis for axis in range(dims)]
    pixels = [tap + 1 for tap in taps]
    return placed.permute(*range(first), *taps, *pixels).flatten(first, first + dims - 1)


def expand(weight: Tensor, expansion: Tensor, groups: int = 1) -> Tensor:
    """Apply an expansion to base weights, in their own dtype even under autocast.

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
    """Return a context without autocast, also for devices that do not support it, such as meta."""
    if torch.amp.is_autocast_available(device_type):
        return torch.autocast(device_type, enabled=False)
    return contextlib.nullcontext()


def _placement(kernel_size: int, dilation: int, fade: float, size: int) -> _Placement:
    """Return the weight of every tent sample in every pixel, as ``[tap][pixel][sample]``."""
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
                # At a distance of the dilation the tent is zero.
                position = beyond * dilation / (fade + 1) if tap == nearest else dilation
            pixels.append(_sample_weights(position, dilation))
        placement.append(tuple(pixels))
    return tuple(placement)


_cached_placement = functools.lru_cache(maxsize=256)(_placement)


def _sample_weights(position: float, dilation: int) -> tuple[float, ...]:
    """Return the weights of the tent's samples at a real position, by linear interpolation."""
    below = math.floor(position)
    fraction = position - below
    weights = [0.0] * (2 * dilation - 1)
    for sample, weight in ((below, 1 - fraction), (below + 1, fraction)):
        if abs(sample) < dilation:
            weights[sample + dilation - 1] += weight
    return tuple(weights)


def expansion_gain(
    kernel_size: int | Sequence[int] = 3,
    dilation: int | Sequence[int] = 2,
    fade: float | Sequence[float] | None = None,
    growth: int | Sequence[int | None] | None = None,
    edge: float = 0.5,
    corner: float = 0.25,
    *,
    tent: str | Tensor | None = None,
    of: Signal = "white",
    dims: int = 2,
) -> float:
    r"""Return how much louder the expansion makes a layer's output.

    .. math::
        \text{gain}_\text{white} =
        \sqrt{\frac{1}{k_0 k_1} \sum_{j, u, v} E_{juv}^2}, \qquad
        \text{gain}_\text{constant} =
        \sqrt{\frac{1}{k_0 k_1} \sum_j \Bigl(\sum_{u, v} E_{juv}\Bigr)^2}

    It is the ratio of the output's standard deviation to that of a plain convolution with the same
    independent base weights, for white noise or for a constant image; :math:`E` is from
    :func:`interpodil.expansion_tensor`. For one tent per channel the sum is the mean over the
    channels. With linear interpolation, 3 taps and a dilation of 2 the gain of white noise is 1.5
    for the 7x7 and 4/3 for the 5x5 effective kernel, that of a constant image 4 and 17/6.

    Args:
        kernel_size: taps per axis, an int or one per axis.
        dilation: pixels between neighboring taps.
        fade: pixels beyond the outermost taps over which the kernel falls to zero, ``None`` for
            ``dilation - 1``.
        growth: size the effective kernel is cropped to, or ``None`` to keep all of it.
        edge: the tent's coefficient half-way to the next tap along one axis.
        corner: the tent's coefficient half-way along two axes.
        tent: a profile's name or a tensor, instead of the coefficients.
        of: the input, ``"white"`` noise or a ``"constant"`` image.
        dims: number of axes if ``kernel_size`` is an int.

    Raises:
        ValueError: if an argument breaks a rule above.

    Example::

        >>> expansion_gain(3, dilation=2), expansion_gain(3, dilation=2, of="constant")
        (1.5, 4.0)
    """
    placed = expansion_tensor(
        kernel_size,
        dilation,
        fade,
        growth,
        edge,
        corner,
        tent=tent,
        dims=dims,
    )
    return measure_gain(placed, count_axes(kernel_size, dims), of)


def measure_gain(expansion: Tensor, dims: int, of: float | Signal) -> float:
    """Return the gain of an expansion of shape (taps, \\*S) or (channels, taps, \\*S).

    Args:
        expansion: the placed tent.
        dims: number of spatial axes.
        of: the input, or the gain itself.

    Raises:
        ValueError: if ``of`` is neither an input nor a finite number above 0, or no constant image
            passes.
    """
    if not isinstance(of, str):
        if number(of, "gain_of") <= 0:
            raise ValueError(f"gain_of must be finite and > 0, got {of!r}")
        return of
    if of not in get_args(Signal):
        raise ValueError(f"gain_of must be a number, white or constant, got {of!r}")
    taps = expansion.detach().double().flatten(-dims)
    powers = taps.sum(-1).square() if of == "constant" else taps.square().sum(-1)
    gain = math.sqrt(powers.mean().item())
    if gain < 1e-6:
        raise ValueError("gain_of='constant' needs a tent with a sum other than 0")
    return gain
