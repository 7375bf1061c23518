"""Checks of the arguments an interpodilated convolution shares with a plain one."""

from collections.abc import Sequence
from typing import Literal, get_args

from interpodil.pair import pair

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]


def check_stride_and_padding(
    stride: int | Sequence[int], padding: str | int | Sequence[int], padding_mode: PaddingMode
) -> tuple[tuple[int, int], str | tuple[int, int]]:
    """Return stride and padding per axis.

    Raises:
        ValueError: if the stride is below 1, the padding is negative or an unknown string,
            ``"same"`` comes with a stride other than 1, or the padding mode is unknown.
    """
    strides = pair(stride, "stride", minimum=1)
    modes = get_args(PaddingMode)
    if padding_mode not in modes:
        raise ValueError(f"padding_mode must be one of {', '.join(modes)}, got {padding_mode!r}")
    if not isinstance(padding, str):
        return strides, pair(padding, "padding", minimum=0)
    if padding not in ("same", "valid"):
        raise ValueError(f"padding must be ints, 'same' or 'valid', got {padding!r}")
    if padding == "same" and strides != (1, 1):
        raise ValueError(f"padding='same' needs stride 1, got stride {stride!r}")
    return strides, padding
