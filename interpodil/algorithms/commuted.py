r"""Tent first, with the tent moved to the output's side in the backward pass.

At stride 1 the gradient with respect to the input is again an interpodilated convolution, of the
output's gradient :math:`\bar y` with the flipped kernels. With
:math:`z = \bar y \star T^{\text{flip}}`, filtered once,

.. math::
    \bar x = z \star (w^\top)^{\text{flip}}_{\uparrow d}, \qquad
    \bar w_{ij} = \sum_q x_q \, z_{q - d \cdot (i, j)}

so the filtered input need not be kept, the convolutions of the backward pass write no more pixels
than the plain convolution's, and one filter pass serves both gradients.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from interpodil.algorithms.tent_filter import filter_first, filter_last, tent_filter
from interpodil.filters import Filters
from interpodil.layout import is_channels_last, to_channels_last
from interpodil.settings import Settings, convolve, split_padding

# Up to as many output channels as input channels, this takes the time of autograd's own backward
# pass and less memory; beyond, more of both (docs/layer.md).
MOST_OUTPUT_CHANNELS = 1


class Commuted(torch.autograd.Function):
    """Tent first at stride 1, with its own backward pass; use :meth:`run`."""

    generate_vmap_rule = True

    @staticmethod
    def applies(input: Tensor, weight: Tensor, settings: Settings, filters: Filters) -> bool:
        """Whether the layer's backward pass can and should be computed so."""
        return (
            input.requires_grad
            and settings.dense
            and torch.is_grad_enabled()
            and not input.is_complex()
            and not filters.tent.requires_grad
            and not filters.per_channel
            and all(
                p < size
                for p, size in zip(settings.zeros, settings.spread.effective_size, strict=True)
            )
            and weight.shape[0] <= MOST_OUTPUT_CHANNELS * input.shape[1]
            and not torch.compiler.is_compiling()
            and not torch.jit.is_tracing()  # type: ignore[attr-defined]
        )

    @staticmethod
    def run(
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        settings: Settings,
        tents: list[Tensor],
        relay: bool,
        last: bool,
    ) -> Tensor:
        """Convolve a batch that is padded but for the zeros of ``settings``."""
        device_type = input.device.type
        if torch.amp.is_autocast_available(device_type) and torch.is_autocast_enabled(device_type):
            # What autocast would do for each convolution, also for those of the backward pass.
            dtype = torch.get_autocast_dtype(device_type)
            input, weight = _autocast(input, dtype), _autocast(weight, dtype)
            bias = None if bias is None else _autocast(bias, dtype)
        return Commuted.apply(input, weight, bias, _Steps(settings, relay, last), *tents)

    @staticmethod
    def forward(
        input: Tensor, weight: Tensor, bias: Tensor | None, steps: "_Steps", *tents: Tensor
    ) -> Tensor:
        return steps(input, weight, bias, tents)

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, weight, bias, steps, *tents = inputs
        ctx.steps, ctx.has_bias = steps, bias is not None  # type: ignore[attr-defined]
        ctx.shape = output.shape  # type: ignore[attr-defined]
        ctx.save_for_backward(input, weight, *tents)
        ctx.save_for_forward(input, weight, *tents)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        input, weight, *tents = ctx.saved_tensors
        steps: _Steps = ctx.steps
        grad_input, grad_weight = steps.adjoint(
            input, weight, tents, grad_output, ctx.needs_input_grad[:2]
        )
        grad_bias = None
        if ctx.has_bias and ctx.needs_input_grad[2]:
            grad_bias = grad_output.sum([0, *range(2, grad_output.dim())])
        grad_tents: Sequence[Tensor | None] = [None for _ in tents]
        # A tent batched by `vmap` does not tell beforehand that it needs a gradient.
        if any(ctx.needs_input_grad[4:]):
            pull = torch.func.vjp(lambda *tents: steps(input, weight, None, tents), *tents)[1]
            grad_tents = pull(grad_output)
        return grad_input, grad_weight, grad_bias, None, *grad_tents

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
        steps: _Steps = ctx.steps
        factors: tuple[Tensor, ...] = ctx.saved_tensors
        of_input, of_weight, of_bias, _, *of_tents = tangents
        ones = (1,) * steps.settings.spread.dims
        derivative = None if of_bias is None else of_bias.reshape(-1, *ones)
        # The product rule: the output is linear in each of its factors.
        for i, tangent in enumerate((of_input, of_weight, *of_tents)):
            if tangent is not None:
                term = [*factors[:i], tangent, *factors[i + 1 :]]
                part = steps(term[0], term[1], None, term[2:])
                derivative = part if derivative is None else derivative + part
        assert derivative is not None
        return derivative.expand(ctx.shape)


class _Steps:
    """The forward computation and its adjoint, for given settings."""

    def __init__(self, settings: Settings, relay: bool, last: bool) -> None:
        self.settings = settings
        self.relay = relay
        self.last = last

    def __call__(
        self,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        tents: Sequence[Tensor],
    ) -> Tensor:
        convolve = filter_last if self.last else filter_first
        return convolve(input, weight, bias, tents, self.settings, self.relay)

    def adjoint(
        self,
        input: Tensor,
        weight: Tensor,
        tents: Sequence[Tensor],
        grad_output: Tensor,
        wanted: tuple[bool, bool],
    ) -> tuple[Tensor | None, Tensor | None]:
        """Gradients with respect to input and weight, those that are wanted."""
        dilation, groups = self.settings.spread.dilation, self.settings.groups
        reach = [d * (k - 1) + 2 * (d - 1) for k, d in zip(weight.shape[2:], dilation, strict=True)]
        padding = tuple(r - p for r, p in zip(reach, self.settings.zeros, strict=True))
        outer, inner = split_padding(padding, dilation)
        if self.relay or is_channels_last(input):
            grad_output = to_channels_last(grad_output)
        flipped = [tent.flip(*range(tent.dim())) for tent in tents]
        filtered = tent_filter(grad_output, flipped, (1,) * len(outer), outer)
        adjoint = _adjoint(weight, groups)
        grad_input = grad_weight = None
        if wanted[0]:
            grad_input = convolve(filtered, adjoint, None, 1, inner, dilation, groups)
            if self.relay:
                grad_input = grad_input.contiguous()
        if wanted[1]:
            if self.relay:
                input = to_channels_last(input)
            ones = [1] * len(outer)
            _, grad_adjoint, _ = torch.ops.aten.convolution_backward(
                input,
                filtered,
                adjoint,
                None,
                ones,
                inner,
                dilation,
                False,
                [0] * len(outer),
                groups,
                [False, True, False],
            )
            grad_weight = _adjoint(grad_adjoint, groups)
        return grad_input, grad_weight


def _autocast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """What autocast makes of a convolution's argument; it leaves double precision alone."""
    return tensor if tensor.dtype == torch.float64 else tensor.to(dtype)


def _adjoint(weight: Tensor, groups: int) -> Tensor:
    """Swap input and output channels within every group and flip the taps; its own inverse."""
    outputs, inputs, *taps = weight.shape
    blocks = weight.reshape(groups, outputs // groups, inputs, *taps)
    swapped = blocks.transpose(1, 2).reshape(groups * inputs, outputs // groups, *taps)
    return swapped.flip(*range(2, weight.dim()))
