"""The interpodilated convolution as a module."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from interpodil.convolution_arguments import PaddingMode, check_stride_and_padding
from interpodil.expansion import effective_size, expand, expands, expansion_tensor
from interpodil.functional import convolve
from interpodil.init import expansion_gain
from interpodil.pair import pair


class InterpodilConv2d(nn.Conv2d):
    r"""Applies a 2D convolution whose kernel is a small base kernel, spread out by interpolation.

    Tap :math:`j` of the base kernel sits at pixel :math:`d j` as in a dilated convolution, and
    the pixels between the taps are interpolated. The output for an input of
    :math:`C_{in}` channels is that of a plain convolution with the effective kernel:

    .. math::
        \text{out}(N_i, C_{\text{out}_j}) = \text{bias}(C_{\text{out}_j}) +
        \sum_{m = 0}^{C_{\text{in}} - 1} K(C_{\text{out}_j}, m) \star \text{input}(N_i, m),
        \quad
        K_{uv} = \sum_{j} \text{weight}_j \, E_{juv}

    :math:`E_j`, the tent as placed at tap :math:`j`, is fixed; see
    :func:`interpodil.expansion_coefficients`. Only the base weights are learnt, and their names
    and shapes are those of :class:`torch.nn.Conv2d`: state dicts fit both ways.

    Related: blur-pool (Zhang 2019, "Making Convolutional Networks Shift-Invariant Again"),
    smoothed dilated convolutions (Wang & Ji 2018) and dilated convolution with learnable spacings
    (Khalfaoui-Hassani et al. 2023).

    Note:
        :attr:`padding` is that of the plain :math:`k \times k` convolution without dilation that
        the layer stands for. What the effective kernel needs on top is added, so the output is
        as large as the plain convolution's.

    Note:
        Where no tap reaches another pixel (``dilation=1`` with ``fade=0`` or
        ``growth=kernel_size``) the layer is a plain convolution and costs what that costs.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: taps of the base kernel, an int or a pair. Default: 3
        stride: stride of the convolution, an int or a pair. Default: 1
        padding: padding of the plain convolution, an int, a pair, ``"same"`` or ``"valid"``.
            Default: 0
        dilation: pixels between neighbouring taps, an int or a pair. Default: 2
        groups: blocks of channels that are convolved apart. Default: 1
        bias: whether the output gets a learnable bias. Default: ``True``
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
            Default: ``"zeros"``
        fade: pixels beyond the outermost taps over which the kernel falls to zero, a real number.
            0 stops at the taps, ``dilation - 1`` leaves the tent unstretched. Default: 1.0
        growth: size the effective kernel is cropped to on both axes; the canonical window
            :math:`d (k - 1) + 1` drops the fade, ``None`` keeps all of it. Default: ``None``
        edge: coefficient half-way to the next tap along one axis. Default: 0.5
        corner: coefficient half-way to the next tap along both axes. Default: 0.25
        init_scale: factor on the initial weights; with 1 the output's variance for white input
            is that of a plain convolution under its default initialisation. Default: 1.0
        device: device of the parameters.
        dtype: dtype of the parameters.

    Shape:
        - Input: :math:`(N, C_{in}, H, W)` or :math:`(C_{in}, H, W)`
        - Output: :math:`(N, C_{out}, H_{out}, W_{out})` or :math:`(C_{out}, H_{out}, W_{out})`

          .. math::
              H_{out} = \left\lfloor \frac{H + 2 \times \text{padding}[0]
                        - \text{kernel\_size}[0]}{\text{stride}[0]} + 1 \right\rfloor

    Attributes:
        weight: the learnable base weights of shape
            :math:`(C_{out}, C_{in} / \text{groups}, k_0, k_1)`, drawn as
            :class:`torch.nn.Conv2d` draws them, times ``init_scale / expansion_gain``.
        bias: the learnable bias of shape :math:`(C_{out})`, drawn as in Conv2d.
        expansion: :math:`E` as a non-persistent buffer of shape :math:`(k_0 k_1, S_0, S_1)`, in
            the weight's dtype; ``None`` where it is the identity.

    Raises:
        ValueError: if an argument breaks a rule above, or an input does not fit the layer.

    Example::

        >>> layer = InterpodilConv2d(3, 16, 3, stride=2, padding=1)
        >>> layer(torch.randn(1, 3, 32, 32)).shape
        torch.Size([1, 16, 16, 16])
        >>> layer.weight.shape[2:], layer.effective_kernel().shape[2:]
        (torch.Size([3, 3]), torch.Size([7, 7]))
    """

    expansion: Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int] = 3,
        stride: int | Sequence[int] = 1,
        padding: str | int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 2,
        groups: int = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        *,
        fade: float = 1.0,
        growth: int | None = None,
        edge: float = 0.5,
        corner: float = 0.25,
        init_scale: float = 1.0,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        kernel_sizes = pair(kernel_size, "kernel_size", minimum=1)
        dilations = pair(dilation, "dilation", minimum=1)
        strides, paddings = check_stride_and_padding(stride, padding, padding_mode)
        if not 0 < init_scale < math.inf:
            raise ValueError(f"init_scale must be finite and > 0, got {init_scale!r}")
        # The base class draws the initial weights, which takes these.
        self.fade = fade
        self.growth = growth
        self.edge = edge
        self.corner = corner
        self.init_scale = init_scale
        self._gain = expansion_gain(kernel_sizes, dilations, fade, growth, edge, corner)
        super().__init__(
            in_channels,
            out_channels,
            kernel_sizes,
            strides,
            paddings,
            dilations,
            groups,
            bias,
            padding_mode,
            device=device,
            dtype=dtype,
        )
        expansion = None
        if expands(kernel_sizes, dilations, fade, growth):
            expansion = self._build_expansion(self.weight.device, self.weight.dtype)
        self.register_buffer("expansion", expansion, persistent=False)

    @property
    def effective_size(self) -> tuple[int, int]:
        """Size of the effective kernel, (height, width)."""
        height, width = (
            effective_size(k, d, self.fade, self.growth)
            for k, d in zip(self.kernel_size, self.dilation, strict=True)
        )
        return height, width

    def effective_kernel(self) -> Tensor:
        r"""Return the kernel the layer convolves with, :math:`(C_{out}, C_{in} / g, S_0, S_1)`.

        It is differentiable with respect to the base weights.
        """
        expansion = self._expansion_for(self.weight)
        return self.weight if expansion is None else expand(self.weight, expansion)

    def reset_parameters(self) -> None:
        """Draw the parameters as Conv2d does, then scale the weights for the expansion."""
        super().reset_parameters()
        with torch.no_grad():
            self.weight.mul_(self.init_scale / self._gain)

    def extra_repr(self) -> str:
        parts = [super().extra_repr(), f"fade={self.fade}"]
        if self.growth is not None:
            parts.append(f"growth={self.growth}")
        parts += [f"edge={self.edge}", f"corner={self.corner}"]
        if self.init_scale != 1:
            parts.append(f"init_scale={self.init_scale}")
        return ", ".join(parts)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return convolve(
            input,
            weight,
            bias,
            (self.stride[0], self.stride[1]),
            self.padding if isinstance(self.padding, str) else (self.padding[0], self.padding[1]),
            self.groups,
            self.padding_mode,
            self._expansion_for(weight),
        )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        before = self.expansion
        super()._apply(fn, recurse)
        after = self.expansion
        # A cast keeps the old rounding and `to_empty` leaves no values at all.
        if after is not None and after is not before:
            self.expansion = self._build_expansion(after.device, after.dtype)
        return self

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        # Loading with `assign=True` can bring weights of another device or dtype.
        weight = self._parameters.get("weight")
        if weight is not None:
            self.expansion = self._expansion_for(weight)

    def _expansion_for(self, weight: Tensor) -> Tensor | None:
        """The expansion for weights that may be others than the layer's own."""
        held = self.expansion
        if held is None or (held.device == weight.device and held.dtype == weight.dtype):
            return held
        return self._build_expansion(weight.device, weight.dtype)

    def _build_expansion(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        return expansion_tensor(
            (self.kernel_size[0], self.kernel_size[1]),
            (self.dilation[0], self.dilation[1]),
            self.fade,
            self.growth,
            self.edge,
            self.corner,
            device=device,
            dtype=dtype,
        )
