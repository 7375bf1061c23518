"""Layers that take the number of input channels from their first input."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedParameter

from interpodil.conv import InterpodilConv1d, InterpodilConv2d, InterpodilConv3d
from interpodil.plan import PaddingMode
from interpodil.spread import ints


class _LazyInterpodilConvNd(nn.Module):
    """Base class of the lazy layers; comes before ``torch.nn.LazyConvNd`` in their bases."""

    def __init__(
        self,
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
        **kwargs: Any,
    ) -> None:
        tent = kwargs.get("tent")
        each = isinstance(tent, torch.Tensor) and tent.dim() > cast(Any, self).dims
        if each or kwargs.get("learn_tent") == "channel":
            raise ValueError(
                "one tent per channel needs the number of input channels: "
                "use the layer that is not lazy"
            )
        ints(out_channels, "out_channels", 1, minimum=0)
        # Skip the initializer of `torch.nn.LazyConvNd`, which takes a plain one's arguments only.
        LazyModuleMixin.__init__(
            cast(Any, self),
            0,
            0,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            False,
            padding_mode,
            device=device,
            dtype=dtype,
            **kwargs,
        )
        uninitialized: Any = UninitializedParameter
        self.weight = uninitialized(device=device, dtype=dtype)
        self.out_channels = out_channels
        if bias:
            self.bias = uninitialized(device=device, dtype=dtype)


class LazyInterpodilConv1d(_LazyInterpodilConvNd, nn.LazyConv1d, InterpodilConv1d):
    """An :class:`InterpodilConv1d` without ``in_channels``; see :class:`LazyInterpodilConv2d`."""

    cls_to_become = InterpodilConv1d


class LazyInterpodilConv2d(_LazyInterpodilConvNd, nn.LazyConv2d, InterpodilConv2d):
    """An :class:`InterpodilConv2d` that takes ``in_channels`` from its first input.

    The first call draws its parameters and turns it into an :class:`InterpodilConv2d`, as
    :class:`torch.nn.LazyConv2d` does.

    Args:
        out_channels: channels of the output.
        kernel_size, ...: all other arguments are those of :class:`InterpodilConv2d`.

    Raises:
        ValueError: as :class:`InterpodilConv2d` does, and for one tent per channel.

    Example::

        >>> layer = LazyInterpodilConv2d(16, 3, padding=1)
        >>> layer(torch.randn(1, 5, 32, 32)).shape, layer.in_channels
        (torch.Size([1, 16, 32, 32]), 5)
    """

    cls_to_become = InterpodilConv2d


class LazyInterpodilConv3d(_LazyInterpodilConvNd, nn.LazyConv3d, InterpodilConv3d):
    """An :class:`InterpodilConv3d` without ``in_channels``; see :class:`LazyInterpodilConv2d`."""

    cls_to_become = InterpodilConv3d
