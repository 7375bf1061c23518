"""The interpodilated convolution as functions."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from interpodil.convolution_arguments import PaddingMode, check_stride_and_padding
from interpodil.expansion import expand, expands, expansion_tensor
from interpodil.padding import padding_sides
from interpodil.pair import pair
from interpodil.tent import check_tent_coefficients


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
    fade: float = 1.0,
    growth: int | None = None,
    edge: float = 0.5,
    corner: float = 0.25,
) -> Tensor:
    r"""Apply an interpodilated 2D convolution: expand the base weights, then convolve once.

    .. math::
        \text{out} = \text{bias} + \text{effective\_kernel}(\text{weight}) \star \text{input}

    See :class:`interpodil.InterpodilConv2d` for the formula and for the arguments that
    :func:`torch.nn.functional.conv2d` does not have.

    Args:
        input: image or batch of images.
        weight: base weights.
        bias: optional bias of shape :math:`(C_{out})`.
        stride: stride of the convolution, an int or a pair.
        padding: padding of the plain :math:`k \times k` convolution this one stands for, an int,
            a pair, ``"same"`` or ``"valid"``; what the effective kernel needs on top is added.
        dilation: pixels between neighbouring taps, an int or a pair.
        groups: blocks of channels that are convolved apart.
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
        fade: pixels beyond the outermost taps over which the kernel falls to zero.
        growth: size the effective kernel is cropped to, or ``None`` to keep all of it.
        edge: the tent's coefficient half-way to the next tap along one axis.
        corner: the tent's coefficient half-way along both axes.

    Shape:
        - input: :math:`(N, C_{in}, H, W)` or :math:`(C_{in}, H, W)`
        - weight: :math:`(C_{out}, C_{in} / groups, k_0, k_1)`
        - Output: :math:`(N, C_{out}, H_{out}, W_{out})` or :math:`(C_{out}, H_{out}, W_{out})`,
          with :math:`H_{out} = \lfloor (H + 2 p_0 - k_0) / s_0 \rfloor + 1` as without dilation

    Raises:
        ValueError: if an argument breaks a rule above, or input and weight do not fit together.

    Example::

        >>> x, weight = torch.randn(1, 3, 32, 32), torch.randn(8, 3, 3, 3)
        >>> interpodil_conv2d(x, weight, stride=2, padding=1).shape
        torch.Size([1, 8, 16, 16])
    """
    strides, paddings = check_stride_and_padding(stride, padding, padding_mode)
    expansion = _expansion_of(weight, dilation, fade, growth, edge, corner)
    return convolve(input, weight, bias, strides, paddings, groups, padding_mode, expansion)


def effective_kernel(
    weight: Tensor,
    dilation: int | Sequence[int] = 2,
    *,
    fade: float = 1.0,
    growth: int | None = None,
    edge: float = 0.5,
    corner: float = 0.25,
) -> Tensor:
    r"""Return the kernel that the interpodilated convolution applies for given base weights.

    .. math::
        \text{effective}_{uv} = \sum_j \text{weight}_j \, E_{juv}

    with :math:`E` from :func:`interpodil.expansion_coefficients`. Differentiable; where the
    expansion is the identity the weights themselves are returned.

    Args:
        weight: base weights.
        dilation: pixels between neighbouring taps, an int or a pair.
        fade: pixels beyond the outermost taps over which the kernel falls to zero.
        growth: size the effective kernel is cropped to, or ``None`` to keep all of it.
        edge: the tent's coefficient half-way to the next tap along one axis.
        corner: the tent's coefficient half-way along both axes.

    Shape:
        - weight: :math:`(C_{out}, C_{in} / groups, k_0, k_1)`
        - Output: :math:`(C_{out}, C_{in} / groups, S_0, S_1)`, with :math:`S` from
          :func:`interpodil.effective_size`

    Raises:
        ValueError: if ``weight`` has not four axes, or an argument breaks a rule above.

    Example::

        >>> effective_kernel(torch.ones(1, 1, 1, 1))[0, 0].tolist()
        [[0.25, 0.5, 0.25], [0.5, 1.0, 0.5], [0.25, 0.5, 0.25]]
    """
    expansion = _expansion_of(weight, dilation, fade, growth, edge, corner)
    return weight if expansion is None else expand(weight, expansion)


def convolve(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, int],
    padding: str | tuple[int, int],
    groups: int,
    padding_mode: PaddingMode,
    expansion: Tensor | None,
) -> Tensor:
    """Convolve with the effective kernel of an expansion, ``None`` standing for the identity.

    Raises:
        ValueError: if input and weight do not fit together.
    """
    kernel = weight if expansion is None else expand(weight, expansion)
    kernel_size = (weight.shape[2], weight.shape[3])
    _check_input(input, weight.shape[1] * groups, kernel_size, padding)
    vertical, horizontal = padding_sides(padding, kernel_size, (kernel.shape[2], kernel.shape[3]))
    # The convolution pads zeros without a copy of the input, but as many on both sides.
    if padding_mode == "zeros" and len({*vertical}) == len({*horizontal}) == 1:
        sides = (vertical[0], horizontal[0])
        return F.conv2d(input, kernel, bias, stride, sides, 1, groups)
    _check_reach(input, padding_mode, max(vertical), max(horizontal))
    mode = "constant" if padding_mode == "zeros" else padding_mode
    padded = F.pad(input, (*horizontal, *vertical), mode=mode)
    return F.conv2d(padded, kernel, bias, stride, 0, 1, groups)


def _expansion_of(
    weight: Tensor,
    dilation: int | Sequence[int],
    fade: float,
    growth: int | None,
    edge: float,
    corner: float,
) -> Tensor | None:
    if weight.dim() != 4:
        raise ValueError(
            f"weight must have 4 axes (out, in / groups, height, width), got {tuple(weight.shape)}"
        )
    kernel_size = (weight.shape[2], weight.shape[3])
    dilations = pair(dilation, "dilation", minimum=1)
    check_tent_coefficients(edge, corner)
    if not expands(kernel_size, dilations, fade, growth):
        return None
    return expansion_tensor(
        kernel_size,
        dilations,
        fade,
        growth,
        edge,
        corner,
        device=weight.device,
        dtype=weight.dtype,
    )


def _check_input(
    input: Tensor,
    channels: int,
    kernel_size: tuple[int, int],
    padding: str | tuple[int, int],
) -> None:
    if input.dim() not in (3, 4):
        raise ValueError(
            f"input must be (batch, channels, height, width) or (channels, height, width), "
            f"got {tuple(input.shape)}"
        )
    if input.shape[-3] != channels:
        raise ValueError(
            f"input must have {channels} channels, got {input.shape[-3]} in {tuple(input.shape)}"
        )
    if padding == "same":
        return
    for axis, k in enumerate(kernel_size):
        plain = 0 if isinstance(padding, str) else padding[axis]
        size = input.shape[axis - 2]
        if size + 2 * plain < k:
            raise ValueError(
                f"input must span the {k} taps of each axis, got {size} pixels "
                f"and a padding of {plain} in {tuple(input.shape)}"
            )


def _check_reach(input: Tensor, padding_mode: str, vertical: int, horizontal: int) -> None:
    """Refuse padding that needs more pixels than the input has to reflect or to wrap."""
    missing = {"reflect": 1, "circular": 0}.get(padding_mode)
    if missing is None:
        return
    for size, pad in ((input.shape[-2], vertical), (input.shape[-1], horizontal)):
        if size < pad + missing:
            raise ValueError(
                f"padding_mode={padding_mode!r} needs an axis of {pad + missing} pixels to pad "
                f"{pad}, got {size} in {tuple(input.shape)}"
            )
