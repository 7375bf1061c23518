"""The dilated convolution without AVX-512, with a backward pass of its own.

With innermost channels, oneDNN then multiplies matrices for the weights' gradient of a dilated
convolution, and takes longer for the bias's than for that. It costs less summed apart.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from interpodil.own_backward import differentiate_with, may_differentiate
from interpodil.plan import TwoSteps
from interpodil.tent_filter import convolution_gradients, convolve, is_channels_last


@dataclass(frozen=True)
class Dilated:
    """A convolution, and its adjoint.

    Attributes:
        steps: its stride, padding and dilation.
        groups: number of groups of channels.
    """

    steps: TwoSteps
    groups: int

    def __call__(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve a batch."""
        steps = self.steps
        return convolve(
            input, weight, bias, steps.stride, steps.padding, steps.dilation, self.groups
        )

    def adjoint(
        self, input: Tensor, weight: Tensor, grad_output: Tensor, wanted: tuple[bool, bool]
    ) -> tuple[Tensor | None, Tensor | None]:
        """Return the gradients with respect to input and weight, those that are wanted."""
        steps = self.steps
        layout = (steps.stride, steps.padding, steps.dilation, self.groups)
        return convolution_gradients(grad_output, input, weight, *layout, wanted)


def convolve_dilated(
    input: Tensor, weight: Tensor, bias: Tensor | None, steps: TwoSteps, groups: int
) -> Tensor:
    """Take the second of the two steps."""
    dilated = Dilated(steps, groups)
    if (
        bias is not None
        and bias.requires_grad
        and max(steps.dilation) > 1
        and may_differentiate(input)
        and _sums_bias_slowly(input)
    ):
        return differentiate_with(dilated, input, weight, bias)
    return dilated(input, weight, bias)


def _sums_bias_slowly(input: Tensor) -> bool:
    # Sequences and volumes were not measured.
    return (
        input.device.type == "cpu"
        and input.dim() == 4
        and torch.backends.cpu.get_cpu_capability() == "AVX2"
        and is_channels_last(input)
    )
