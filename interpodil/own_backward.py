"""Computations that are linear in input and weight, with a backward pass of their own."""

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx


class Computation(Protocol):
    """The forward computation, and its adjoint."""

    def __call__(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Compute a batch's output."""

    def adjoint(
        self, input: Tensor, weight: Tensor, grad_output: Tensor, wanted: tuple[bool, bool]
    ) -> tuple[Tensor | None, Tensor | None]:
        """Return the gradients with respect to input and weight, those that are wanted."""


def may_differentiate(input: Tensor) -> bool:
    """Tell whether a backward pass of our own may be used: not by compilers, which make theirs."""
    return (
        torch.is_grad_enabled()
        and not input.is_complex()
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined]
    )


def differentiate_with(
    steps: Computation, input: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    """Compute a batch's output, with the adjoint as its backward pass."""
    device_type = input.device.type
    if torch.amp.is_autocast_available(device_type) and torch.is_autocast_enabled(device_type):
        # What autocast would do for each convolution, also for those of the backward pass.
        dtype = torch.get_autocast_dtype(device_type)
        input, weight = _autocast(input, dtype), _autocast(weight, dtype)
        bias = None if bias is None else _autocast(bias, dtype)
    return OwnBackward.apply(input, weight, bias, steps)


class OwnBackward(torch.autograd.Function):
    """:class:`Computation` with the adjoint as its backward pass."""

    generate_vmap_rule = True

    @staticmethod
    def forward(input: Tensor, weight: Tensor, bias: Tensor | None, steps: Computation) -> Tensor:
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
            terms.append(of_bias.reshape(-1, *(1,) * (len(ctx.shape) - 2)))
        return sum(terms[1:], terms[0]).expand(ctx.shape)


def _autocast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """What autocast makes of a convolution's argument; it leaves double precision alone."""
    return tensor if tensor.dtype == torch.float64 else tensor.to(dtype)
