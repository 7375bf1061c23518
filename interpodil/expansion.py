"""The expansion: the fixed linear map from the base weights to the effective kernel."""

import functools
import math

import torch
from torch import Tensor

from interpodil.tent import tent

Coefficients = tuple[tuple[tuple[float, ...], ...], ...]


def canonical_window(kernel_size: int, dilation: int = 2) -> int:
    r"""Return the pixels from the first to the last tap of one axis, :math:`n = d (k - 1) + 1`.

    Raises:
        ValueError: if ``kernel_size`` or ``dilation`` is below 1.
    """
    if kernel_size < 1:
        raise ValueError(f"kernel_size must be >= 1, got {kernel_size!r}")
    if dilation < 1:
        raise ValueError(f"dilation must be >= 1, got {dilation!r}")
    return dilation * (kernel_size - 1) + 1


def effective_size(
    kernel_size: int, dilation: int = 2, fade: float = 1.0, growth: int | None = None
) -> int:
    r"""Return the effective kernel's size along one axis.

    .. math::
        S = \min(\text{growth}, \; n + 2 \lceil \text{fade} \rceil), \quad n = d (k - 1) + 1

    Args:
        kernel_size: taps :math:`k` of the axis.
        dilation: pixels :math:`d` between neighbouring taps.
        fade: pixels beyond the outermost taps over which the kernel falls to zero.
        growth: size the effective kernel is cropped to, or ``None`` to keep all of it.

    Raises:
        ValueError: if ``kernel_size`` or ``dilation`` is below 1, ``fade`` is negative or not
            finite, or ``growth`` is smaller than the canonical window :math:`n` or odd where
            :math:`n` is even or the other way round (the crop takes as much from both ends).

    Example::

        >>> effective_size(3, dilation=2, fade=1.0), effective_size(3, dilation=2, growth=5)
        (7, 5)
    """
    window = canonical_window(kernel_size, dilation)
    if not 0 <= fade < math.inf:
        raise ValueError(f"fade must be finite and >= 0, got {fade!r}")
    support = window + 2 * math.ceil(fade)
    if growth is None:
        return support
    if not isinstance(growth, int) or growth < window or (growth - window) % 2:
        raise ValueError(
            f"growth must be {window} (the canonical window) or that plus an even number, "
            f"got {growth!r}"
        )
    return min(growth, support)


def expands(
    kernel_size: tuple[int, int],
    dilation: tuple[int, int] = (2, 2),
    fade: float = 1.0,
    growth: int | None = None,
) -> bool:
    """Tell whether the effective kernel differs in size from the base kernel.

    Where it does not, no tap reaches another pixel and the expansion is the identity.
    """
    return any(
        effective_size(k, d, fade, growth) != k for k, d in zip(kernel_size, dilation, strict=True)
    )


def expansion_coefficients(
    kernel_size: tuple[int, int],
    dilation: tuple[int, int] = (2, 2),
    fade: float = 1.0,
    growth: int | None = None,
    edge: float = 0.5,
    corner: float = 0.25,
) -> Coefficients:
    r"""Return for every tap the tent as placed: ``coefficients[tap][row][column]``.

    .. math::
        \text{effective}_{uv} = \sum_j \text{base}_j \, E_{juv}, \quad
        E_{juv} = \tau\bigl(t(u, j_0), \; t(v, j_1)\bigr)

    with :math:`\tau` the bilinear interpolation of the tent's samples, zero from :math:`\pm d`
    on. Inside the canonical window :math:`t(u, j) = u - d j`. A pixel :math:`o` beyond an end of
    the window sees the tap at that end alone, through a tent stretched to reach zero at
    :math:`f + 1` pixels: :math:`t = \pm o d / (f + 1)`.

    Interpolated kernels with learnable positions are due to Khalfaoui-Hassani et al. 2023, "Dilated
    Convolution with Learnable Spacings"; here the positions are fixed.

    Args:
        kernel_size: taps per axis.
        dilation: pixels between neighbouring taps, per axis.
        fade: pixels :math:`f` beyond the outermost taps over which the kernel falls to zero.
        growth: size the effective kernel is cropped to, or ``None`` to keep all of it.
        edge: the tent's coefficient half-way to the next tap along one axis.
        corner: the tent's coefficient half-way along both axes.

    Shape:
        - Output: :math:`(k_0 k_1, S_0, S_1)`, taps in row-major order, in double precision

    Raises:
        ValueError: as :func:`effective_size` and :func:`interpodil.tent.tent` do.
    """
    # Tracing compilers see through caches and warn about them.
    compute = _coefficients if torch.compiler.is_compiling() else _cached_coefficients
    return compute(kernel_size, dilation, fade, growth, edge, corner)


def expansion_tensor(
    kernel_size: tuple[int, int],
    dilation: tuple[int, int] = (2, 2),
    fade: float = 1.0,
    growth: int | None = None,
    edge: float = 0.5,
    corner: float = 0.25,
    *,
    device: torch.device,
    dtype: torch.dtype,
) -> Tensor:
    """Return :func:`expansion_coefficients` as a tensor, rounded once to ``dtype``.

    Shape:
        - Output: :math:`(k_0 k_1, S_0, S_1)`

    Raises:
        ValueError: as :func:`expansion_coefficients` does.
    """
    coefficients = expansion_coefficients(kernel_size, dilation, fade, growth, edge, corner)
    return torch.tensor(coefficients, device=device, dtype=dtype)


def expand(weight: Tensor, expansion: Tensor) -> Tensor:
    """Apply an expansion to base weights, in their own precision even under autocast.

    Shape:
        - weight: :math:`(C_{out}, C_{in} / groups, k_0, k_1)`
        - expansion: :math:`(k_0 k_1, S_0, S_1)`
        - Output: :math:`(C_{out}, C_{in} / groups, S_0, S_1)`
    """
    device_type = weight.device.type
    # Devices without autocast, such as meta, refuse the context.
    if torch.amp.is_autocast_available(device_type):
        with torch.autocast(device_type, enabled=False):
            kernel = weight.flatten(2) @ expansion.flatten(1)
    else:
        kernel = weight.flatten(2) @ expansion.flatten(1)
    return kernel.unflatten(2, expansion.shape[1:])


def _coefficients(
    kernel_size: tuple[int, int],
    dilation: tuple[int, int],
    fade: float,
    growth: int | None,
    edge: float,
    corner: float,
) -> Coefficients:
    surface = tent(dilation, edge, corner)
    rows, columns = (
        _axis_weights(k, d, fade, effective_size(k, d, fade, growth))
        for k, d in zip(kernel_size, dilation, strict=True)
    )
    return tuple(
        tuple(_placed_row(row, column_tap, surface) for row in row_tap)
        for row_tap in rows
        for column_tap in columns
    )


_cached_coefficients = functools.lru_cache(maxsize=64)(_coefficients)

# The tent samples between which a position on an axis lies, and their weights.
_Hat = list[tuple[int, float]]


def _placed_row(
    row: _Hat, columns: list[_Hat], surface: tuple[tuple[float, ...], ...]
) -> tuple[float, ...]:
    if not row:
        return (0.0,) * len(columns)
    return tuple(
        sum((p * q * surface[a][b] for a, p in row for b, q in column), 0.0) if column else 0.0
        for column in columns
    )


def _axis_weights(kernel_size: int, dilation: int, fade: float, size: int) -> list[list[_Hat]]:
    """For every tap and every pixel of an axis, what of the tent the pixel sees."""
    window = canonical_window(kernel_size, dilation)
    margin = (size - window) // 2
    weights = []
    for tap in range(kernel_size):
        pixels = []
        for pixel in range(-margin, window + margin):
            position: float = pixel - dilation * tap
            if pixel < 0 or pixel >= window:
                nearest = 0 if pixel < 0 else kernel_size - 1
                beyond = pixel - dilation * nearest
                # A position at the dilation is where the tent is zero.
                position = beyond * dilation / (fade + 1) if tap == nearest else dilation
            pixels.append(_hat_weights(position, dilation))
        weights.append(pixels)
    return weights


def _hat_weights(position: float, dilation: int) -> _Hat:
    """Indices and weights of the samples between which ``position`` lies; none at weight 0."""
    below = math.floor(position)
    fraction = position - below
    neighbours = ((below, 1 - fraction), (below + 1, fraction))
    return [(a + dilation - 1, w) for a, w in neighbours if w > 0 and abs(a) < dilation]
