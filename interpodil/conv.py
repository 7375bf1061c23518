"""The interpodilated convolution as modules of one, two and three dimensions."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from interpodil.algorithms import compute
from interpodil.expansion import Signal, expand
from interpodil.filters import Filters, Gain, check_learn_tent, make_constants
from interpodil.folding import check_foldable, with_kernel
from interpodil.modules import ConvNd
from interpodil.plan import (
    Algorithm,
    PaddingMode,
    Plan,
    check_algorithm,
    check_groups,
    check_stride_and_padding,
    make_plan,
)
from interpodil.spread import ints, make_spread, number
from interpodil.tents import LearnTent, tent_from_raw


class InterpodilConv(nn.Module):
    """Base class of every interpodilated layer; comes before ``torch.nn.ConvNd`` in its bases."""

    dims: int

    # Attributes of the convolution.
    weight: Tensor
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: str | tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    padding_mode: PaddingMode
    in_channels: int
    out_channels: int
    bias: Tensor | None

    # Attributes of the interpolation.
    fixed_tent: Tensor
    raw_tent: nn.Parameter | None

    # `nn.DataParallel` sets it on replicas, whose buffers are copies of the layer's.
    _is_replica = False

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
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
        *,
        fade: float | Sequence[float] | None = None,
        growth: int | Sequence[int | None] | None = None,
        edge: float = 0.5,
        corner: float = 0.25,
        tent: str | Tensor | None = None,
        learn_tent: bool | LearnTent = False,
        init_scale: float = 1.0,
        gain: Gain = "init",
        gain_of: float | Signal = "white",
        algorithm: Algorithm = "auto",
    ) -> None:
        spread = make_spread(kernel_size, dilation, fade, growth, self.dims)
        strides, paddings = check_stride_and_padding(stride, padding, padding_mode, self.dims)
        ints(in_channels, "in_channels", 1, minimum=0)
        ints(out_channels, "out_channels", 1, minimum=0)
        check_groups(groups, in_channels, out_channels)
        if number(init_scale, "init_scale") <= 0:
            raise ValueError(f"init_scale must be finite and > 0, got {init_scale!r}")
        learned = check_learn_tent(learn_tent, spread)
        constants = make_constants(
            spread, edge, corner, tent, learned, in_channels, out_channels, gain, gain_of
        )
        # The base class calls `reset_parameters`, which needs these.
        self._spread, self._groups = spread, groups
        self._constants = constants
        self._edge, self._corner = edge, corner
        self._gain, self._gain_of = gain, gain_of
        self._tent_name = tent if isinstance(tent, str) else None
        self._given_tent = isinstance(tent, Tensor)
        self._algorithm = algorithm
        self.learn_tent = learned
        self.init_scale = init_scale
        self._check_algorithm(algorithm)
        super().__init__(
            in_channels,
            out_channels,
            spread.kernel_size,
            strides,
            paddings,
            spread.dilation,
            groups,
            bias,
            padding_mode,
            device=device,
            dtype=dtype,
        )
        device, dtype = self.weight.device, self.weight.dtype
        self._make_plan()
        raw = nn.Parameter(constants.raw_tent(device, dtype)) if learned else None
        self.register_parameter("raw_tent", raw)
        # The layer's own buffers, to recognize tensors that replace them.
        self._held: dict[str, Tensor] = {}
        self._hold(constants.names(algorithm), device, dtype)

    @property
    def fade(self) -> tuple[float, ...]:
        """Pixels beyond the outermost taps over which the kernel falls to zero, per axis."""
        return self._spread.fade

    @property
    def growth(self) -> tuple[int | None, ...]:
        """Size the effective kernel is cropped to, per axis."""
        return self._spread.growth

    @property
    def edge(self) -> float:
        """The edge coefficient."""
        return self._edge

    @property
    def corner(self) -> float:
        """The corner coefficient."""
        return self._corner

    @property
    def gain(self) -> Gain:
        """Where the expansion's gain is taken out."""
        return self._gain

    @property
    def gain_of(self) -> float | Signal:
        """The input whose gain is taken out, or the gain itself."""
        return self._gain_of

    @property
    def init_factor(self) -> float:
        """The factor between the initial weights and those of a plain convolution."""
        forward = self.gain == "forward"
        return self.init_scale if forward else self.init_scale / self._constants.gain

    @property
    def algorithm(self) -> Algorithm:
        """The algorithm, which can be set.

        Raises:
            ValueError: if the new algorithm cannot compute this layer.
        """
        return self._algorithm

    @algorithm.setter
    def algorithm(self, algorithm: Algorithm) -> None:
        self._check_algorithm(algorithm)
        self._algorithm = algorithm
        new = [name for name in self._constants.names(algorithm) if name not in self._held]
        tent = self.tent
        self._hold(new, tent.device, tent.dtype)

    @property
    def effective_size(self) -> tuple[int, ...]:
        """Size of the effective kernel, per axis."""
        return self._spread.effective_size

    @property
    def tent(self) -> Tensor:
        r"""The current tent, :math:`(2 d_0 - 1, \ldots)`, differentiable where it is learned.

        It has a leading axis of :math:`C_{in}` where every channel has its own tent.
        """
        shape = self._spread.tent_shape
        if self.raw_tent is None:
            return self.fixed_tent.unflatten(-1, shape)
        assert self.learn_tent
        return tent_from_raw(self.raw_tent, shape, self.learn_tent)

    def effective_kernel(self) -> Tensor:
        r"""Return the kernel that the layer convolves with.

        It is differentiable with respect to the base weights and to a learned tent.

        Shape:
            - Output: :math:`(C_{out}, C_{in} / \text{groups}, S_0, \ldots)`
        """
        filters = self._filters(self.weight)
        if self._spread.plain:
            return filters.scale(self.weight)
        return expand(self.weight, filters.expansion(self.weight), self.groups)

    def fold(self) -> nn.Module:
        """Return a plain convolution with equal outputs; see :func:`interpodil.fold`."""
        return plain_convolution(self)

    def reset_parameters(self) -> None:
        """Draw weight and bias as ``torch.nn.ConvNd`` does, and scale the weight.

        A learned tent is reset to its initial values.
        """
        super().reset_parameters()  # type: ignore[misc]
        with torch.no_grad():
            self.weight.mul_(self.init_factor)
            raw_tent = self._parameters.get("raw_tent")
            if raw_tent is not None:
                raw_tent.copy_(self._constants.raw_tent(raw_tent.device, raw_tent.dtype))

    def extra_repr(self) -> str:
        parts = [super().extra_repr(), f"fade={_brief(self.fade)}"]
        if any(growth is not None for growth in self.growth):
            parts.append(f"growth={_brief(self.growth)}")
        if self._tent_name is not None:
            parts.append(f"tent={self._tent_name!r}")
        elif self._given_tent:
            parts.append("tent=given")
        else:
            parts += [f"edge={self.edge}", f"corner={self.corner}"]
        if self.learn_tent:
            parts.append(f"learn_tent={self.learn_tent!r}")
        if self.init_scale != 1:
            parts.append(f"init_scale={self.init_scale}")
        if self.gain != "init":
            parts.append(f"gain={self.gain!r}")
        if self.gain_of != "white":
            parts.append(f"gain_of={self.gain_of!r}")
        if self.algorithm != "auto":
            parts.append(f"algorithm={self.algorithm!r}")
        return ", ".join(parts)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        plan = self._plan if self._planned_for == self._arguments() else self._make_plan()
        return compute(input, weight, bias, plan, self._filters(weight))

    def _arguments(self) -> tuple[Any, ...]:
        """Return the attributes behind the plan; people set some of them on existing layers."""
        return (
            self.stride,
            self.padding,
            self.padding_mode,
            self.kernel_size,
            self.dilation,
            self.groups,
            self.in_channels,
            self._algorithm,
        )

    def _make_plan(self) -> Plan:
        """Return the plan for the attributes as they are, and keep it where possible."""
        spread, groups = self._spread, self._groups
        if self.kernel_size != spread.kernel_size or self.dilation != spread.dilation:
            raise ValueError(
                f"kernel_size and dilation cannot change after a layer is built with "
                f"{spread.kernel_size} and {spread.dilation}, got {self.kernel_size} and "
                f"{self.dilation}"
            )
        if self.groups != groups:
            raise ValueError(
                f"groups cannot change after a layer is built with {groups}, got {self.groups!r}"
            )
        arguments = self._arguments()
        stride, padding, mode = arguments[:3]
        # Lists may be changed in place, which a later comparison would miss.
        keep = isinstance(stride, tuple) and isinstance(padding, tuple | str)
        if not keep:
            stride, padding = check_stride_and_padding(stride, padding, mode, self.dims)
        plan = make_plan(
            stride,
            padding,
            groups,
            mode,
            spread,
            self.in_channels,
            self._algorithm,
            separable=self._constants.separable,
        )
        # Compilers and export want a call to leave the module as it is.
        if keep and not torch.compiler.is_compiling():
            self._plan, self._planned_for = plan, arguments
        return plan

    def _check_algorithm(self, algorithm: Algorithm) -> None:
        separable, learned = self._constants.separable, bool(self.learn_tent)
        check_algorithm(algorithm, self._spread, separable=separable, learned=learned)

    def _filters(self, weight: Tensor) -> Filters:
        """Return the filters for this call; weight and tent may be replaced by other tensors."""
        constants, own = self._constants, self._own()
        if self.learn_tent:
            tent = self.tent
            exact = torch.promote_types(tent.dtype, torch.float32)
            placed = constants.for_call(own, self._held, tent.device, exact)
            weights = tuple(placed.values()) or None
            gain = constants.forward_gain
            tent = tent if gain == 1 else tent / gain
            return Filters(self._spread, tent, constants.separable, gain=gain, axis_weights=weights)
        if "fixed_tent" not in own:
            # A tent that replaces the layer's own: only its samples are known.
            tent = self.tent.to(device=weight.device, dtype=weight.dtype)
            gain = constants.forward_gain
            return Filters(self._spread, tent / gain, separable=False, gain=gain)
        return constants.filters(constants.for_call(own, self._held, weight.device, weight.dtype))

    def _own(self) -> dict[str, Tensor]:
        """Return the buffers that still hold the layer's constants, untrained."""
        if self._is_replica:
            return {name: self.get_buffer(name) for name in self._held}
        return {
            name: value
            for name, value in self._held.items()
            if self._buffers.get(name) is value and not value.requires_grad
        }

    def _hold(self, names: Iterable[str], device: torch.device, dtype: torch.dtype) -> None:
        made = self._constants.make(names, device, dtype)
        for name, value in made.items():
            self.register_buffer(name, value, persistent=False)
        self._held = {**self._held, **made}

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        own = self._own()
        super()._apply(fn, recurse)
        moved = [name for name, value in own.items() if self._buffers[name] is not value]
        if moved:
            # A cast keeps the old rounding, and `to_empty` leaves no values.
            like = self.get_buffer(moved[0])
            self._hold(moved, like.device, like.dtype)
        return self

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        raw_tent = self._parameters.get("raw_tent")
        key = prefix + "raw_tent"
        if raw_tent is not None and key not in state_dict and prefix + "weight" in state_dict:
            # A plain convolution's checkpoint has no tent: keep the layer's, or take the initial
            # one if the layer has no values yet.
            kept = raw_tent.detach()
            if kept.is_meta:
                weight = state_dict[prefix + "weight"]
                kept = self._constants.raw_tent(weight.device, weight.dtype)
            state_dict = {**state_dict, key: kept}
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        # Loading with `assign=True` can bring parameters of another device or dtype.
        like = self._parameters.get("raw_tent" if self.learn_tent else "weight")
        if like is not None:
            own = self._own().items()
            unlike = [n for n, v in own if (v.device, v.dtype) != (like.device, like.dtype)]
            self._hold(unlike, like.device, like.dtype)


def _brief(values: tuple[Any, ...]) -> str:
    """Format one value where all axes agree, else all of them."""
    return repr(values[0] if len(set(values)) == 1 else values)


class InterpodilConv2d(InterpodilConv, nn.Conv2d):
    r"""Apply a 2D convolution whose kernel is a small base kernel, spread out by interpolation.

    Tap :math:`j` of the base kernel sits at pixel :math:`d j` as in a dilated convolution, and
    the pixels between the taps are interpolated. The output for an input of
    :math:`C_{in}` channels is that of a plain convolution with the effective kernel:

    .. math::
        \text{out}(N_i, C_{\text{out}_j}) = \text{bias}(C_{\text{out}_j}) +
        \sum_{m = 0}^{C_{\text{in}} - 1} K(C_{\text{out}_j}, m) \star \text{input}(N_i, m),
        \quad
        K_{uv} = \sum_{j} \text{weight}_j \, E_{juv}

    :math:`E_j` is the tent as placed at tap :math:`j`; see
    :func:`interpodil.expansion_tensor`. The base weights' names and shapes are those of
    :class:`torch.nn.Conv2d`: state dicts fit both ways.

    Related: blur-pool (Zhang 2019, "Making Convolutional Networks Shift-Invariant Again"),
    smoothed dilated convolutions (Wang & Ji 2018) and dilated convolution with learnable spacings
    (Khalfaoui-Hassani et al. 2023).

    Note:
        :attr:`padding` is that of the plain :math:`k \times k` convolution without dilation that
        the layer replaces. The layer adds what the effective kernel needs, so the output is as
        large as the plain convolution's.

    Note:
        Where every tap has the same tent (``fade`` and ``growth`` left alone) the layer costs as
        many multiply-adds per channel pair as the plain :math:`k \times k` convolution, for any
        size of the effective kernel. Where no tap reaches another pixel (``dilation=1`` with
        ``fade=0`` or ``growth=kernel_size``) it is a plain convolution.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: taps of the base kernel, an int or one per axis. Default: 3
        stride: stride of the convolution, an int or one per axis. Default: 1
        padding: padding of the plain convolution, an int, one per axis, ``"same"`` or
            ``"valid"``. Default: 0
        dilation: pixels between neighboring taps, an int or one per axis. Default: 2
        groups: number of groups of channels, as in Conv2d. Default: 1
        bias: whether the output gets a learnable bias. Default: ``True``
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
            Default: ``"zeros"``
        device: device of the parameters.
        dtype: dtype of the parameters.
        fade: pixels beyond the outermost taps over which the kernel falls to zero, a real number
            or one per axis. 0 stops at the taps, ``None`` is ``dilation - 1`` and leaves the tent
            unstretched. Default: ``None``
        growth: size the effective kernel is cropped to, an int or one per axis; the canonical
            window :math:`d (k - 1) + 1` drops the fade, ``None`` keeps all of it.
            Default: ``None``
        edge: coefficient half-way to the next tap along one axis. Default: 0.5
        corner: coefficient half-way to the next tap along both axes. Default: 0.25
        tent: instead of ``edge`` and ``corner``, a profile (``"linear"``, ``"cosine"``,
            ``"gaussian"``) or the tent itself, a tensor of shape
            :math:`(2 d_0 - 1, 2 d_1 - 1)`, or with a leading axis of :math:`C_{in}`, with 1 at the
            center. Default: ``None``
        learn_tent: whether the tent is learned, one for the layer (``True`` or ``"layer"``) or one
            per input channel (``"channel"``), from the given one on. Default: ``False``
        init_scale: factor on the initial weights; with 1 the output's variance for white input
            is that of a plain convolution under its default initialization. Default: 1.0
        gain: where the expansion's gain is taken out: of the initial weights (``"init"``), or of
            the effective kernel in every pass (``"forward"``), so that the gradients have a plain
            convolution's scale too and the initial weights are a plain convolution's. The tent's
            samples carry it, at no cost. Default: ``"init"``
        gain_of: the input whose gain it is, ``"white"`` noise or a ``"constant"`` image (see
            :func:`interpodil.expansion_gain`), or the gain itself, a number. A learned tent's is
            that of its initial values. Default: ``"white"``
        algorithm: ``"expanded"`` (one convolution with the effective kernel), ``"tent_first"`` (a
            filter with the tent, then the base kernel; needs the same tent at every tap),
            ``"separable_tent"`` (the same with one filter per axis), ``"axis_first"`` (filters
            along the first axis, then one convolution) or ``"auto"``, which chooses from
            measurements. All agree to rounding. The last two need a separable tent: the product
            of one line per axis, to rounding in double precision. Default: ``"auto"``

    Shape:
        - Input: :math:`(N, C_{in}, H, W)` or :math:`(C_{in}, H, W)`
        - Output: :math:`(N, C_{out}, H_{out}, W_{out})` or :math:`(C_{out}, H_{out}, W_{out})`

          .. math::
              H_{out} = \left\lfloor \frac{H + 2 \times \text{padding}[0]
                        - \text{kernel\_size}[0]}{\text{stride}[0]} + 1 \right\rfloor

    Attributes:
        weight: the learnable base weights of shape
            :math:`(C_{out}, C_{in} / \text{groups}, k_0, k_1)`, drawn as
            :class:`torch.nn.Conv2d` draws them, times ``init_factor``: ``init_scale`` over the
            gain, or ``init_scale`` alone with ``gain="forward"``.
        bias: the learnable bias of shape :math:`(C_{out})`, drawn as in Conv2d.
        raw_tent: with ``learn_tent``, the learnable values behind the tent, of shape :math:`(1, T -
            1)` or :math:`(C_{in}, T - 1)` for :math:`T` samples; their :math:`\tanh` is the tent
            around its center. Weight decay would pull it towards zero; see
            :func:`interpodil.no_weight_decay`. ``None`` otherwise.
        tent: the current tent, a tensor.
        effective_size: size of the effective kernel per axis.

    Raises:
        ValueError: if an argument breaks a rule above, or an input does not fit the layer.

    Example::

        >>> layer = InterpodilConv2d(3, 16, 3, stride=2, padding=1)
        >>> layer(torch.randn(1, 3, 32, 32)).shape
        torch.Size([1, 16, 16, 16])
        >>> layer.weight.shape[2:], layer.effective_kernel().shape[2:]
        (torch.Size([3, 3]), torch.Size([7, 7]))
    """

    dims = 2


class InterpodilConv1d(InterpodilConv, nn.Conv1d):
    r"""Apply a 1D convolution whose kernel is a small base kernel, spread out by interpolation.

    See :class:`InterpodilConv2d` for the formula and the arguments; ``corner`` has no effect.

    Shape:
        - Input: :math:`(N, C_{in}, L)` or :math:`(C_{in}, L)`
        - Output: :math:`(N, C_{out}, L_{out})` or :math:`(C_{out}, L_{out})`

    Attributes:
        weight: the learnable base weights of shape :math:`(C_{out}, C_{in} / \text{groups}, k)`.
        bias: the learnable bias of shape :math:`(C_{out})`.

    Raises:
        ValueError: as :class:`InterpodilConv2d` does.

    Example::

        >>> InterpodilConv1d(2, 4, padding=1)(torch.randn(1, 2, 100)).shape
        torch.Size([1, 4, 100])
    """

    dims = 1


class InterpodilConv3d(InterpodilConv, nn.Conv3d):
    r"""Apply a 3D convolution whose kernel is a small base kernel, spread out by interpolation.

    See :class:`InterpodilConv2d` for the formula and the arguments. Half-way along all three axes
    the tent's coefficient is ``edge * corner``.

    Shape:
        - Input: :math:`(N, C_{in}, D, H, W)` or :math:`(C_{in}, D, H, W)`
        - Output: :math:`(N, C_{out}, D_{out}, H_{out}, W_{out})`, without :math:`N` if the input
          has none

    Attributes:
        weight: the learnable base weights of shape
            :math:`(C_{out}, C_{in} / \text{groups}, k_0, k_1, k_2)`.
        bias: the learnable bias of shape :math:`(C_{out})`.

    Raises:
        ValueError: as :class:`InterpodilConv2d` does.

    Example::

        >>> InterpodilConv3d(1, 2, padding=1, stride=2)(torch.randn(1, 1, 8, 16, 16)).shape
        torch.Size([1, 2, 4, 8, 8])
    """

    dims = 3


# The layer that replaces each plain convolution.
LAYERS: dict[type[nn.Module], type[InterpodilConv]] = {
    nn.Conv1d: InterpodilConv1d,
    nn.Conv2d: InterpodilConv2d,
    nn.Conv3d: InterpodilConv3d,
}


def plain_convolution(layer: InterpodilConv, name: str = "the layer") -> nn.Module:
    """Return a new plain convolution with equal outputs; see :func:`interpodil.fold`.

    Raises:
        ValueError: if the layer has additions that would be lost; the message has its ``name``.
    """
    check_foldable(layer, name, subclass=type(layer) not in LAYERS.values())
    with torch.no_grad():
        return with_kernel(cast(ConvNd, layer), layer.effective_kernel().clone())
