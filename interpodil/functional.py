"""The interpodilated convolution as functions of tensors."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from interpodil.algorithms import compute
from interpodil.expansion import expand
from interpodil.filters import Filters
from interpodil.plan import (
    Algorithm,
    PaddingMode,
    check_algorithm,
    check_groups,
    make_plan,
)
from interpodil.spread import Spread, make_spread, number
from interpodil.tents import are_separable, make_tent


def interpodil_conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 2,
    groups: int = 1,
    *,
    padding_mode: PaddingMode = "zeros",
    fade: float | Sequence[float] | None = None,
    growth: int | Sequence[int | None] | None = None,
    edge: float | Tensor = 0.5,
    corner: float | Tensor = 0.25,
    tent: str | Tensor | None = None,
    gain: float = 1.0,
    algorithm: Algorithm = "auto",
) -> Tensor:
    r"""Apply an interpodilated 2D convolution.

    .. math::
        \text{out} = \text{bias} + \text{effective\_kernel}(\text{weight}) \star \text{input}

    See :class:`interpodil.InterpodilConv2d` for the formula. The function is differentiable in
    every tensor and can be batched over any of them with :func:`torch.func.vmap`, tent coefficients
    included.

    Args:
        input: image or batch of images.
        weight: base weights.
        bias: optional bias of shape :math:`(C_{out})`.
        stride: stride of the convolution, an int or one per axis.
        padding: padding of the plain :math:`k \times k` convolution that this one replaces, an
            int, one per axis, ``"same"`` or ``"valid"``. What the effective kernel needs is added.
        dilation: pixels between neighboring taps, an int or one per axis.
        groups: number of groups of channels.
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
        fade: pixels beyond the outermost taps over which the kernel falls to zero, a number or
            one per axis, ``None`` for ``dilation - 1``.
        growth: size the effective kernel is cropped to, an int or one per axis, or ``None`` to
            keep all of it.
        edge: the tent's coefficient half-way to the next tap along one axis, a number or a tensor
            without axes.
        corner: the tent's coefficient half-way along both axes, likewise.
        tent: the tent's profile, ``"linear"``, ``"cosine"`` or ``"gaussian"``, or the tent itself,
            instead of the coefficients. Its center should be 1, which is not checked.
        gain: the number that the effective kernel is divided by, such as
            :func:`interpodil.expansion_gain`.
        algorithm: the algorithm, see :class:`interpodil.InterpodilConv2d`.

    Shape:
        - input: :math:`(N, C_{in}, H, W)` or :math:`(C_{in}, H, W)`
        - weight: :math:`(C_{out}, C_{in} / groups, k_0, k_1)`
        - tent: :math:`(2 d_0 - 1, 2 d_1 - 1)` or :math:`(C_{in}, 2 d_0 - 1, 2 d_1 - 1)`
        - Output: :math:`(N, C_{out}, H_{out}, W_{out})` or :math:`(C_{out}, H_{out}, W_{out})`,
          with :math:`H_{out} = \lfloor (H + 2 p_0 - k_0) / s_0 \rfloor + 1` as without dilation

    Raises:
        ValueError: if an argument breaks a rule above, or input and weight do not fit together.

    Example::

        >>> x, weight = torch.randn(1, 3, 32, 32), torch.randn(8, 3, 3, 3)
        >>> interpodil_conv2d(x, weight, stride=2, padding=1).shape
        torch.Size([1, 8, 16, 16])
        >>> edges = torch.linspace(0, 1, 5)
        >>> sweep = torch.func.vmap(lambda e: interpodil_conv2d(x, weight, edge=e, corner=e * e))
        >>> sweep(edges).shape
        torch.Size([5, 1, 8, 30, 30])
    """
    shape, coefficients = (dilation, fade, growth), (edge, corner, tent)
    steps = (stride, padding, groups, padding_mode)
    return _convolution(2, (input, weight, bias), steps, shape, coefficients, gain, algorithm)


def interpodil_conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 2,
    groups: int = 1,
    *,
    padding_mode: PaddingMode = "zeros",
    fade: float | Sequence[float] | None = None,
    growth: int | Sequence[int | None] | None = None,
    edge: float | Tensor = 0.5,
    corner: float | Tensor = 0.25,
    tent: str | Tensor | None = None,
    gain: float = 1.0,
    algorithm: Algorithm = "auto",
) -> Tensor:
    r"""Apply an interpodilated 1D convolution; see :func:`interpodil_conv2d`.

    Shape:
        - input: :math:`(N, C_{in}, L)` or :math:`(C_{in}, L)`
        - weight: :math:`(C_{out}, C_{in} / groups, k)`
        - tent: :math:`(2 d - 1)` or :math:`(C_{in}, 2 d - 1)`
        - Output: :math:`(N, C_{out}, L_{out})` or :math:`(C_{out}, L_{out})`

    Raises:
        ValueError: as :func:`interpodil_conv2d` does.
    """
    shape, coefficients = (dilation, fade, growth), (edge, corner, tent)
    steps = (stride, padding, groups, padding_mode)
    return _convolution(1, (input, weight, bias), steps, shape, coefficients, gain, algorithm)


def interpodil_conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 2,
    groups: int = 1,
    *,
    padding_mode: PaddingMode = "zeros",
    fade: float | Sequence[float] | None = None,
    growth: int | Sequence[int | None] | None = None,
    edge: float | Tensor = 0.5,
    corner: float | Tensor = 0.25,
    tent: str | Tensor | None = None,
    gain: float = 1.0,
    algorithm: Algorithm = "auto",
) -> Tensor:
    r"""Apply an interpodilated 3D convolution; see :func:`interpodil_conv2d`.

    Half-way along all three axes the tent's coefficient is ``edge * corner``.

    Shape:
        - input: :math:`(N, C_{in}, D, H, W)` or :math:`(C_{in}, D, H, W)`
        - weight: :math:`(C_{out}, C_{in} / groups, k_0, k_1, k_2)`
        - tent: :math:`(2 d_0 - 1, 2 d_1 - 1, 2 d_2 - 1)`, or with a leading axis of
          :math:`C_{in}`
        - Output: :math:`(N, C_{out}, D_{out}, H_{out}, W_{out})`, without :math:`N` if the input
          has none

    Raises:
        ValueError: as :func:`interpodil_conv2d` does.
    """
    shape, coefficients = (dilation, fade, growth), (edge, corner, tent)
    steps = (stride, padding, groups, padding_mode)
    return _convolution(3, (input, weight, bias), steps, shape, coefficients, gain, algorithm)


def effective_kernel(
    weight: Tensor,
    dilation: int | Sequence[int] = 2,
    *,
    fade: float | Sequence[float] | None = None,
    growth: int | Sequence[int | None] | None = None,
    edge: float | Tensor = 0.5,
    corner: float | Tensor = 0.25,
    tent: str | Tensor | None = None,
    gain: float = 1.0,
    groups: int = 1,
) -> Tensor:
    r"""Return the kernel that the interpodilated convolution applies for given base weights.

    .. math::
        \text{effective}_{uv} = \sum_j \text{weight}_j \, E_{juv}

    with :math:`E` from :func:`interpodil.expansion_tensor`. It is differentiable. Where no tap
    reaches another pixel and the gain is 1 the weights themselves are returned.

    Args:
        weight: base weights of one, two or three spatial axes.
        dilation: pixels between neighboring taps, an int or one per axis.
        fade: pixels beyond the outermost taps over which the kernel falls to zero, ``None`` for
            ``dilation - 1``.
        growth: size the effective kernel is cropped to, or ``None`` to keep all of it.
        edge: the tent's coefficient half-way to the next tap along one axis.
        corner: the tent's coefficient half-way along two axes.
        tent: a profile's name or a tensor, instead of the coefficients.
        gain: the number that the effective kernel is divided by.
        groups: number of groups of channels, needed for one tent per channel.

    Shape:
        - weight: :math:`(C_{out}, C_{in} / groups, k_0, k_1)`
        - Output: :math:`(C_{out}, C_{in} / groups, S_0, S_1)`, with :math:`S` from
          :func:`interpodil.effective_size`

    Raises:
        ValueError: if an argument breaks a rule above.

    Example::

        >>> effective_kernel(torch.ones(1, 1, 1, 1))[0, 0].tolist()
        [[0.25, 0.5, 0.25], [0.5, 1.0, 0.5], [0.25, 0.5, 0.25]]
    """
    if weight.dim() not in (3, 4, 5):
        raise ValueError(
            f"weight must have 3, 4 or 5 axes (out, in / groups, taps...), got "
            f"{tuple(weight.shape)}"
        )
    spread = make_spread(weight.shape[2:], dilation, fade, growth, weight.dim() - 2)
    check_groups(groups, weight.shape[1] * groups, weight.shape[0])
    surface = make_tent(spread.dilation, edge, corner, tent, weight.shape[1] * groups)
    filters = _filters(spread, surface, gain)
    if spread.plain:
        return filters.scale(weight)
    return expand(weight, filters.expansion(weight), groups)


def _convolution(
    dims: int,
    tensors: tuple[Tensor, Tensor, Tensor | None],
    steps: tuple[Any, Any, int, PaddingMode],
    shape: tuple[Any, Any, Any],
    coefficients: tuple[float | Tensor, float | Tensor, str | Tensor | None],
    gain: float,
    algorithm: Algorithm,
) -> Tensor:
    """Check the arguments of a convolution of ``dims`` axes and compute it."""
    input, weight, bias = tensors
    stride, padding, groups, padding_mode = steps
    edge, corner, tent = coefficients
    if weight.dim() != dims + 2:
        raise ValueError(
            f"weight must have {dims + 2} axes (out, in / groups and {dims} of taps), got "
            f"{tuple(weight.shape)}"
        )
    spread = make_spread(tuple(weight.shape[2:]), *shape, dims)
    channels = weight.shape[1] * groups
    check_groups(groups, channels, weight.shape[0])
    surface = make_tent(spread.dilation, edge, corner, tent, channels)
    # The values of tensors are not read, as compilers and `vmap` hide them.
    constant = not any(isinstance(value, Tensor) for value in coefficients)
    if dims == 1:
        separable = not isinstance(tent, Tensor)
    elif isinstance(edge, Tensor) or isinstance(corner, Tensor) or isinstance(tent, Tensor):
        separable = False
    else:
        separable = tent is not None or are_separable(edge, corner)
    check_algorithm(algorithm, spread, separable=separable)
    plan = make_plan(stride, padding, groups, padding_mode, spread, algorithm)
    filters = _filters(spread, surface, gain, separable, constant)
    return compute(input, weight, bias, plan, filters)


def _filters(
    spread: Spread, tent: Tensor, gain: float, separable: bool = False, constant: bool = False
) -> Filters:
    if number(gain, "gain") <= 0:
        raise ValueError(f"gain must be finite and > 0, got {gain!r}")
    return Filters(spread, tent.flatten(-spread.dims), separable, constant, gain)
