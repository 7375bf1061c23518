"""What the interpodilated layers of one, two and three dimensions share."""

from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from interpodil.algorithms import compute
from interpodil.expansion import Signal, expand
from interpodil.filters import Filters, Gain, check_learn_tent, make_constants
from interpodil.plan import (
    Algorithm,
    PaddingMode,
    Plan,
    check_algorithm,
    check_groups,
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
        ints(in_channels, "in_channels", 1, minimum=0)
        ints(out_channels, "out_channels", 1, minimum=0)
        check_groups(groups, in_channels, out_channels)
        if number(init_scale, "init_scale") <= 0:
            raise ValueError(f"init_scale must be finite and > 0, got {init_scale!r}")
        learned = check_learn_tent(learn_tent, spread)
        # The base class calls `reset_parameters`, which needs some of these.
        self._spread, self._groups = spread, groups
        self._constants = make_constants(
            spread, edge, corner, tent, learned, in_channels, out_channels, gain, gain_of
        )
        self._edge, self._corner = edge, corner
        self._gain, self._gain_of = gain, gain_of
        self._tent_shown = "given" if isinstance(tent, Tensor) else tent and repr(tent)
        self.learn_tent = learned
        self.init_scale = init_scale
        self.algorithm = algorithm
        plan = make_plan(stride, padding, groups, padding_mode, spread, algorithm)
        super().__init__(
            in_channels,
            out_channels,
            spread.kernel_size,
            plan.stride,
            plan.padding,
            spread.dilation,
            groups,
            bias,
            padding_mode,
            device=device,
            dtype=dtype,
        )
        self._plan = plan
        device, dtype = self.weight.device, self.weight.dtype
        raw = nn.Parameter(self._constants.raw_tent(device, dtype)) if learned else None
        self.register_parameter("raw_tent", raw)
        # The layer's own buffers, to recognize tensors that replace them.
        self._held: dict[str, Tensor] = {}
        self._hold(device, dtype)

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
        separable, learned = self._constants.separable, bool(self.learn_tent)
        check_algorithm(algorithm, self._spread, separable=separable, learned=learned)
        self._algorithm = algorithm

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
        if self._tent_shown:
            parts.append(f"tent={self._tent_shown}")
        else:
            parts += [f"edge={self.edge}", f"corner={self.corner}"]
        defaults = {
            "learn_tent": False,
            "init_scale": 1,
            "gain": "init",
            "gain_of": "white",
            "algorithm": "auto",
        }
        for name, default in defaults.items():
            if getattr(self, name) != default:
                parts.append(f"{name}={getattr(self, name)!r}")
        return ", ".join(parts)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return compute(input, weight, bias, self._current_plan(), self._filters(weight))

    def _current_plan(self) -> Plan:
        """Return the plan for the attributes as they are: people set some on existing layers."""
        plan, spread = self._plan, self._spread
        asked = (self.stride, self.padding, self.padding_mode, self._algorithm)
        built = (spread.kernel_size, spread.dilation, self._groups)
        if (self.kernel_size, self.dilation, self.groups) != built:
            raise ValueError(
                f"kernel_size, dilation and groups cannot change after a layer is built with "
                f"{built}, got {(self.kernel_size, self.dilation, self.groups)}"
            )
        # A list, which may be changed in place, equals no tuple and gets a plan in every call.
        if asked != (plan.stride, plan.padding, plan.padding_mode, plan.algorithm):
            stride, padding, mode, algorithm = asked
            plan = make_plan(stride, padding, self.groups, mode, spread, algorithm)
            # Compilers and export want a call to leave the module as it is.
            if not torch.compiler.is_compiling():
                self._plan = plan
        return plan

    def _filters(self, weight: Tensor) -> Filters:
        """Return the filters for this call; weight and tent may be replaced by other tensors."""
        constants, gain = self._constants, self._constants.forward_gain
        if self.learn_tent:
            tent = self.tent
            exact = torch.promote_types(tent.dtype, torch.float32)
            fit = self._fit(tent.device, exact)
            placements = self._held if fit else constants.make(tent.device, exact)
            weights = tuple(placements.values())
            return Filters(self._spread, tent.flatten(-self.dims), gain=gain, axis_weights=weights)
        if self._fit(weight.device, weight.dtype):
            assert self._own_filters is not None
            return self._own_filters
        if "fixed_tent" not in self._own():
            # A tent that replaces the layer's own: only its samples are known.
            samples = self.fixed_tent.to(device=weight.device, dtype=weight.dtype)
            return Filters(self._spread, samples, gain=gain)
        # For this call alone: tensors made inside a transform must not outlive it.
        return constants.filters(constants.make(weight.device, weight.dtype))

    def _fit(self, device: torch.device, dtype: torch.dtype) -> bool:
        """Tell whether the layer's constants are in their places, untrained, and fit a call."""
        buffers = self._buffers
        for name, value in self._held.items():
            if buffers.get(name) is not value or value.requires_grad:
                return False
            if value.dtype != dtype or value.device != device:
                return False
        return True

    def _own(self) -> dict[str, Tensor]:
        """Return the buffers that still hold the layer's constants, untrained."""
        if self._is_replica:
            return {name: self.get_buffer(name) for name in self._held}
        buffers = self._buffers
        return {
            name: value
            for name, value in self._held.items()
            if buffers.get(name) is value and not value.requires_grad
        }

    def _hold(
        self, device: torch.device, dtype: torch.dtype, names: list[str] | None = None
    ) -> None:
        """Make the constants, or those named, and keep them as buffers, laid out as before."""
        for name, value in self._constants.make(device, dtype).items():
            if names is None or name in names:
                if name in self._held:
                    before = self.get_buffer(name)
                    value = torch.empty_like(before, device=device, dtype=dtype).copy_(value)
                self.register_buffer(name, value, persistent=False)
                self._held = {**self._held, name: value}
        self._own_filters = None if self.learn_tent else self._constants.filters(self._held)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        own = self._own()
        super()._apply(fn, recurse)
        moved = [name for name, value in own.items() if self._buffers[name] is not value]
        if moved:
            # A cast keeps the old rounding, and `to_empty` leaves no values.
            like = self.get_buffer(moved[0])
            self._hold(like.device, like.dtype, moved)
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
            if unlike:
                self._hold(like.device, like.dtype, unlike)


def _brief(values: tuple[Any, ...]) -> str:
    """Format one value where all axes agree, else all of them."""
    return repr(values[0] if len(set(values)) == 1 else values)
