r"""Few outputs at stride 1: the base kernel, then the tent, with a backward pass of its own.

The gradient with respect to the input is again an interpodilated convolution, of the output's
gradient :math:`\bar y` with the flipped kernels. With
:math:`z = \bar y \star T^{\text{flip}}`, filtered once,

.. math::
    \bar x = z \star (w^\top)^{\text{flip}}_{\uparrow d}, \qquad
    \bar w_{ij} = \sum_q x_q \, z_{q - d \cdot (i, j)}

so both gradients are forward convolutions, which oneDNN computes faster than autograd's: with at
most half as many outputs as inputs a step takes 0.7 to 0.85 of autograd's time (docs/layer.md).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from interpodil.plan import Plan, split_padding
from interpodil.tent_filter import (
    convolve,
    is_channels_last,
    laid_out_like,
    tent_filter,
    to_channels_last,
)


@dataclass(frozen=True)
class Steps:
    """The forward computation, and its adjoint.

    Attributes:
        plan: the convolution's plan, of stride 1.
        tents: the tent as :func:`tent_filter` takes it.
        relay: whether to compute with the channels innermost, and lay the output back.
    """

    plan: Plan
    tents: list[Tensor]
    relay: bool

    def __call__(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve a batch with the base kernel, then filter with the tent."""
        plan = self.plan
        if self.relay:
            input = to_channels_last(input)
        once = convolve(input, weight, None, 1, plan.zeros, plan.spread.dilation, plan.groups)
        once = laid_out_like(once, input)
        still = (0,) * plan.spread.dims
        output = laid_out_like(tent_filter(once, self.tents, plan.stride, still, bias), once)
        return output.contiguous() if self.relay else output

    def adjoint(
        self, input: Tensor, weight: Tensor, grad_output: Tensor, wanted: tuple[bool, bool]
    ) -> tuple[Tensor | None, Tensor | None]:
        """Return the gradients with respect to input and weight, those that are wanted."""
        dilation, groups = self.plan.spread.dilation, self.plan.groups
        reach = [d * (k - 1) + 2 * (d - 1) for k, d in zip(weight.shape[2:], dilation, strict=True)]
        padding = tuple(r - p for r, p in zip(reach, self.plan.zeros, strict=True))
        ones = self.plan.stride
        outer, inner = split_padding(padding, dilation, ones)
        if self.relay or is_channels_last(input):
            grad_output = to_channels_last(grad_output)
        flipped = [tent.flip(*range(tent.dim())) for tent in self.tents]
        filtered = tent_filter(grad_output, flipped, ones, outer)
        adjoint = _adjoint(weight, groups)
        grad_input = grad_weight = None
        if wanted[0]:
            grad_input = convolve(filtered, adjoint, None, 1, inner, dilation, groups)
            if self.relay:
                grad_input = grad_input.contiguous()
        if wanted[1]:
            if self.relay:
                input = to_channels_last(input)
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


def filter_last(
    input: Tensor, weight: Tensor, bias: Tensor | None, steps: Steps, constant: bool
) -> Tensor:
    """Convolve a batch with the base kernel, then filter with the tent.

    Args:
        input: the batch, padded but for the zeros of the plan.
        weight: base weights.
        bias: optional bias.
        steps: the computation.
        constant: whether the tent is neither differentiated nor batched.
    """
    plan = steps.plan
    if not (
        constant
        and input.requires_grad
        and torch.is_grad_enabled()
        and not input.is_complex()
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined]
        and all(p < s for p, s in zip(plan.zeros, plan.spread.effective_size, strict=True))
    ):
        return steps(input, weight, bias)
    device_type = input.device.type
    if torch.amp.is_autocast_available(device_type) and torch.is_autocast_enabled(device_type):
        # What autocast would do for each convolution, also for those of the backward pass.
        dtype = torch.get_autocast_dtype(device_type)
        input, weight = _autocast(input, dtype), _autocast(weight, dtype)
        bias = None if bias is None else _autocast(bias, dtype)
    return FilteredGradient.apply(input, weight, bias, steps)


class FilteredGradient(torch.autograd.Function):
    """:class:`Steps` with the adjoint as its backward pass."""

    generate_vmap_rule = True

    @staticmethod
    def forward(input: Tensor, weight: Tensor, bias: Tensor | None, steps: Steps) -> Tensor:
        return steps(input, weight, bias)

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, weight, bias, steps = inputs
        ctx.steps, ctx.has_bias = steps, bias is not None  # type: ignore[attr-defined]
        ctx.shape = output.shape  # type: ignore[attr-defined]
        ctx.save_for_backward(input, weight)
        ctx.save_for_forward(input, weight)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        input, weight = ctx.saved_tensors
        gradients = ctx.steps.adjoint(input, weight, grad_output, ctx.needs_input_grad[:2])
        grad_bias = None
        if ctx.has_bias and ctx.needs_input_grad[2]:
            grad_bias = grad_output.sum([0, *range(2, grad_output.dim())])
        return *gradients, grad_bias, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
        # The product rule: the output is linear in input, weight and bias.
        input, weight = ctx.saved_tensors
        of_input, of_weight, of_bias, _ = tangents
        terms = []
        if of_input is not None:
            terms.append(ctx.steps(of_input, weight, None))
        if of_weight is not None:
            terms.append(ctx.steps(input, of_weight, None))
        if of_bias is not None:
            terms.append(of_bias.reshape(-1, *(1,) * ctx.steps.plan.spread.dims))
        return sum(terms[1:], terms[0]).expand(ctx.shape)


def _autocast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """What autocast makes of a convolution's argument; it leaves double precision alone."""
    return tensor if tensor.dtype == torch.float64 else tensor.to(dtype)


def _adjoint(weight: Tensor, groups: int) -> Tensor:
    """Swap input and output channels within every group and flip the taps; its own inverse."""
    outputs, inputs, *taps = weight.shape
    blocks = weight.reshape(groups, outputs // groups, inputs, *taps)
    swapped = blocks.transpose(1, 2).reshape(groups * inputs, outputs // groups, *taps)
    return swapped.flip(*range(2, weight.dim()))
