r"""The tent: the interpolation filter placed at every tap of a base kernel.

The parameter of a learned tent holds a raw value :math:`r` for every sample but the center,

.. math::
    T_a = \tanh(r_a), \qquad T_0 = 1,

so no sample ever outweighs the tap it surrounds, and a raw value of 0 is a coefficient of 0.
"""

import itertools
import math
import sys
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from interpodil.spread import number

LearnTent = Literal["layer", "channel"]
Profile = Literal["linear", "cosine", "gaussian"]
# Relative rounding error of a product of a few numbers in double precision.
SEPARABLE_WITHIN = 4 * sys.float_info.epsilon


def tent(
    dilation: tuple[int, ...], edge: float | Tensor = 0.5, corner: float | Tensor = 0.25
) -> Tensor:
    r"""Return the tent for given coefficients, with 1 at its center.

    .. math::
        T_{ab} = \sum_{m=0}^{1} \sum_{n=0}^{1} K_{mn} \,
                 \Lambda\!\left(\tfrac{2|a|}{d_0} - m\right)
                 \Lambda\!\left(\tfrac{2|b|}{d_1} - n\right),
        \quad
        K = \begin{pmatrix} 1 & e \\ e & c \end{pmatrix},
        \quad \Lambda(t) = \max(0, 1 - |t|)

    ``edge`` is the coefficient half-way to the next tap along one axis, ``corner`` the one
    half-way along two; half-way along three axes it is ``edge * corner``. Between these knots
    the tent is multilinear, zero at the next tap; it is sampled at whole pixels and mirrored. For
    a dilation of 2 it is ``[[c, e, c], [e, 1, e], [c, e, c]]``. ``edge=0.5, corner=0.25`` is
    linear interpolation for every dilation, ``corner=edge**2`` a separable tent, and for a
    dilation of 2 ``edge=corner=0`` leaves the taps alone.

    A low-pass filter of this shape is the blur-pool of Zhang 2019, "Making Convolutional Networks
    Shift-Invariant Again"; Wang & Ji 2018, "Smoothed Dilated Convolutions for Improved Dense
    Prediction", learn a filter of this size before a dilated convolution.

    Args:
        dilation: pixels between neighboring taps, per axis.
        edge: the edge coefficient :math:`e`, a number or a tensor without axes.
        corner: the corner coefficient :math:`c`, likewise.

    Shape:
        - Output: :math:`(2 d_0 - 1, 2 d_1 - 1, \ldots)`, in double precision on the CPU, or
          differentiable and with the coefficients' dtype and device if these are tensors

    Raises:
        ValueError: if a dilation is below 1, or a number is not finite.

    Example::

        >>> tent((2, 2))
        tensor([[0.2500, 0.5000, 0.2500],
                [0.5000, 1.0000, 0.5000],
                [0.2500, 0.5000, 0.2500]], dtype=torch.float64)
    """
    if min(dilation) < 1:
        raise ValueError(f"dilation must be >= 1, got {dilation!r}")
    edge, corner = _coefficient(edge, "edge"), _coefficient(corner, "corner")
    tensors = [value for value in (edge, corner) if isinstance(value, Tensor)]
    device = tensors[0].device if tensors else torch.device("cpu")
    dtype = torch.promote_types(tensors[0].dtype, tensors[-1].dtype) if tensors else torch.float64
    knots = [1.0, edge, corner, edge * corner]
    surface = torch.zeros((), dtype=dtype, device=device)
    for halves in itertools.product((0, 1), repeat=len(dilation)):
        part = torch.ones((), dtype=dtype, device=device)
        for d, half in zip(dilation, halves, strict=True):
            hat = torch.tensor(_knot_weights(d, half), dtype=dtype, device=device)
            part = part[..., None] * hat
        surface = surface + knots[sum(halves)] * part
    return surface


def profile_tent(dilation: tuple[int, ...], profile: Profile) -> Tensor:
    r"""Return the tent of a named profile :math:`\varphi`, the product of one profile per axis.

    .. math::
        T_{ab} = \varphi_{d_0}(a) \, \varphi_{d_1}(b)

    ========== ===================================================== ===========================
    profile    :math:`\varphi_d(t)` for :math:`|t| < d`
    ========== ===================================================== ===========================
    linear     :math:`1 - |t| / d`                                   linear interpolation
    cosine     :math:`\cos^2(\pi t / (2 d))`                         a Hann window
    gaussian   :math:`\exp(-t^2 / (2 \sigma^2)), \; \sigma = d / 3`  the next tap lies 3 sigma off
    ========== ===================================================== ===========================

    Args:
        dilation: pixels between neighboring taps, per axis.
        profile: the profile's name.

    Shape:
        - Output: :math:`(2 d_0 - 1, 2 d_1 - 1, \ldots)`, in double precision on the CPU

    Raises:
        ValueError: if the profile is unknown.

    Example::

        >>> profile_tent((4,), "cosine").round(decimals=2).tolist()
        [0.15, 0.5, 0.85, 1.0, 0.85, 0.5, 0.15]
    """
    formulas = {
        "linear": lambda t, d: 1 - abs(t) / d,
        "cosine": lambda t, d: math.cos(math.pi * t / (2 * d)) ** 2,
        "gaussian": lambda t, d: math.exp(-4.5 * (t / d) ** 2),
    }
    if profile not in formulas:
        raise ValueError(f"tent must be one of {', '.join(get_args(Profile))}, got {profile!r}")
    surface = torch.ones((), dtype=torch.float64, device="cpu")
    for d in dilation:
        samples = [formulas[profile](t, d) for t in range(1 - d, d)]
        line = torch.tensor(samples, dtype=torch.float64, device="cpu")
        surface = surface[..., None] * line
    return surface


def make_tent(
    dilation: tuple[int, ...],
    edge: float | Tensor,
    corner: float | Tensor,
    given: str | Tensor | None,
    channels: int | None = None,
) -> Tensor:
    """Return the tent for a layer's arguments.

    Args:
        dilation: pixels between neighboring taps, per axis.
        edge: the edge coefficient.
        corner: the corner coefficient.
        given: a profile's name or the tent itself, instead of the coefficients.
        channels: number of input channels, to check a tensor of one tent per channel; ``None`` for
            any number.

    Shape:
        - Output: :math:`(2 d_0 - 1, \\ldots)`, or :math:`(channels, 2 d_0 - 1, \\ldots)`

    Raises:
        ValueError: if a coefficient is not finite, the name is unknown, the tensor has another
            shape, or both a tent and coefficients are given.
    """
    if given is None:
        return tent(dilation, edge, corner)
    if isinstance(edge, Tensor) or isinstance(corner, Tensor) or (edge, corner) != (0.5, 0.25):
        raise ValueError(
            f"give either tent or edge and corner, got tent={_brief(given)}, edge={_brief(edge)}, "
            f"corner={_brief(corner)}"
        )
    if isinstance(given, str):
        return profile_tent(dilation, given)  # type: ignore[arg-type]
    if not isinstance(given, Tensor):
        raise ValueError(f"tent must be a profile's name or a tensor, got {given!r}")
    if not given.is_floating_point():
        raise ValueError(f"tent must be of a floating dtype, got {given.dtype}")
    shape = tuple(2 * d - 1 for d in dilation)
    first = len(given) if channels is None and given.dim() else channels
    if tuple(given.shape) not in (shape, (first, *shape)):
        each = ", ".join(map(str, ("in_channels" if channels is None else channels, *shape)))
        raise ValueError(
            f"tent must have shape {shape} for a dilation of {dilation}, or ({each}) for one tent "
            f"per channel, got {tuple(given.shape)}"
        )
    return given


def check_tent(surface: Tensor, dims: int) -> None:
    """Raise a :class:`ValueError` if a tent is not finite or not 1 at its center."""
    if not bool(surface.isfinite().all()):
        raise ValueError("tent must be finite, got NaN or infinity in it")
    centers = surface.flatten(-dims)[..., surface.shape[-dims:].numel() // 2].reshape(-1)
    for center in centers.tolist():
        if center != 1:
            raise ValueError(f"tent must be 1 at its center, got {center!r}")


def are_separable(edge: float, corner: float) -> bool:
    """Tell whether a tent with these coefficients is the product of one line per axis.

    The test is to rounding in double precision, as the algorithms that use the lines would compute
    another tent for one that is only nearly a product.
    """
    return abs(corner - edge * edge) <= SEPARABLE_WITHIN * abs(corner)


def is_separable(tent: Tensor, dims: int) -> bool:
    """Tell whether a tent is shared by all channels and the product of one line per axis.

    The test is to rounding in double precision for every dtype; see :func:`are_separable`.
    """
    if tent.dim() != dims:
        return False
    tent = tent.double()
    product = torch.ones((), dtype=tent.dtype, device=tent.device)
    for axis in range(dims):
        product = product[..., None] * axis_line(tent, axis)
    return bool(torch.allclose(product, tent, rtol=SEPARABLE_WITHIN, atol=0))


def axis_line(surface: Tensor, axis: int) -> Tensor:
    """Return the tent on one axis through its center; a separable tent is the product of these."""
    for other in reversed(range(surface.dim())):
        if other != axis:
            surface = surface.select(other, surface.shape[other] // 2)
    return surface


def _coefficient(value: float | Tensor, name: str) -> float | Tensor:
    if not isinstance(value, Tensor):
        return number(value, name)
    if value.dim() or not value.is_floating_point():
        raise ValueError(
            f"{name} must be a number or a floating tensor without axes, got shape "
            f"{tuple(value.shape)} of {value.dtype}"
        )
    return value


def _knot_weights(dilation: int, half: int) -> list[float]:
    """Return the weight of a knot, at the tap (0) or half-way from it (1), in every sample."""
    return [max(0.0, 1 - abs(2 * abs(a) / dilation - half)) for a in range(1 - dilation, dilation)]


def _brief(value: object) -> str:
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)


def raw_from_tent(tent: Tensor, dims: int, channels: int, learn: LearnTent) -> Tensor:
    r"""Return the raw values of a tent.

    Args:
        tent: the tent, of ``dims`` axes, or one more where every channel has its own.
        dims: number of spatial axes.
        channels: channels of the input.
        learn: whether to learn one tent for the layer or one per channel.

    Shape:
        - Output: :math:`(1, T - 1)` or :math:`(C_{in}, T - 1)` for :math:`T` samples, in the
          tent's dtype

    Raises:
        ValueError: if a sample is not strictly between -1 and 1, or one tent is to be learned for
            the layer but there is one per channel.
    """
    per_channel = tent.dim() > dims
    if per_channel and learn == "layer":
        raise ValueError("a tent per channel needs learn_tent='channel', got learn_tent='layer'")
    samples = tent.flatten(1) if per_channel else tent.flatten()[None]
    middle = samples.shape[1] // 2
    around = torch.cat([samples[:, :middle], samples[:, middle + 1 :]], dim=1)
    outside = around[around.abs() >= 1]
    if outside.numel():
        raise ValueError(
            f"a learned tent must lie strictly between -1 and 1 but for its center, got "
            f"{outside[0].item()!r}"
        )
    raw = around.atanh()
    return raw.expand(channels, -1).clone() if learn == "channel" else raw


def tent_from_raw(raw: Tensor, shape: Sequence[int], learn: LearnTent) -> Tensor:
    r"""Return the tent of raw values, in their dtype.

    Args:
        raw: the raw values, :math:`(1, T - 1)` or :math:`(C_{in}, T - 1)`.
        shape: the tent's shape, of :math:`T` samples.
        learn: whether there is one tent for the layer or one per channel.

    Shape:
        - Output: ``shape``, or :math:`(C_{in}, *shape)`
    """
    around = raw.tanh()
    middle = raw.shape[1] // 2
    center = around.new_ones((raw.shape[0], 1))
    samples = torch.cat([around[:, :middle], center, around[:, middle:]], dim=1)
    tents = samples.unflatten(1, list(shape))
    return tents if learn == "channel" else tents[0]
