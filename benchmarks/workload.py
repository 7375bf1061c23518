"""One layer with what its training step needs."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass
class Workload:
    """A layer, its input and the gradient that the next layer would hand back.

    Attributes:
        layer: the layer, with its parameters on the device.
        input: the input, shared by all candidates of a shape.
        output_gradient: a gradient of the output's shape, shared likewise.
        setting: makes the context that forward pass and step belong into.
    """

    layer: nn.Module
    input: Tensor
    output_gradient: Tensor
    setting: Callable[[], AbstractContextManager[None]] = nullcontext

    def forward(self) -> None:
        """The forward pass as at inference: nothing is kept for a backward pass."""
        with torch.no_grad():
            self.layer(self.input)

    def step(self) -> None:
        """Forward and backward pass of a training step."""
        self.layer(self.input).backward(self.output_gradient)

    def clear(self) -> None:
        """Drop the gradients of the last step."""
        self.layer.zero_grad(set_to_none=True)
        self.input.grad = None

    @property
    def bytes_at_start(self) -> int:
        """Bytes of the input, the parameters and the buffers: what is alive when a step starts."""
        tensors = [self.input, *self.layer.parameters(), *self.layer.buffers()]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
