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

from torch import Tensor

from interpodil.own_backward import differentiate_with, may_differentiate
from interpodil.plan import Plan, split_padding
from interpodil.tent_filter import (
    convolution_gradients,
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
            _, grad_adjoint = convolution_gradients(
                input, filtered, adjoint, ones, inner, dilation, groups, (False, True)
            )
            assert grad_adjoint is not None
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
        and may_differentiate(input)
        and all(p < s for p, s in zip(plan.zeros, plan.spread.effective_size, strict=True))
    ):
        return steps(input, weight, bias)
    return differentiate_with(steps, input, weight, bias)


def _adjoint(weight: Tensor, groups: int) -> Tensor:
    """Swap input and output channels within every group and flip the taps; its own inverse."""
    outputs, inputs, *taps = weight.shape
    blocks = weight.reshape(groups, outputs // groups, inputs, *taps)
    swapped = blocks.transpose(1, 2).reshape(groups * inputs, outputs // groups, *taps)
    return swapped.flip(*range(2, weight.dim()))
