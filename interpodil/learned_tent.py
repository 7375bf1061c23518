r"""A tent that is learned: its parameter, and the tent it stands for.

The parameter holds a raw value :math:`r` for every sample but the centre,

.. math::
    T_a = \tanh(r_a), \qquad T_0 = 1,

so no sample ever outweighs the tap it surrounds, and a raw value of 0 is a coefficient of 0.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor


def raw_from_tent(
    tent: Tensor, dims: int, channels: int, learn: Literal["layer", "channel"]
) -> Tensor:
    r"""Return the raw values of a tent.

    Args:
        tent: the tent, of ``dims`` axes, or one more where every channel has its own.
        dims: number of spatial axes.
        channels: channels of the input.
        learn: whether one tent is learned for the layer, or one per channel.

    Shape:
        - Output: :math:`(1, T - 1)` or :math:`(C_{in}, T - 1)` for :math:`T` samples, in the
          tent's dtype

    Raises:
        ValueError: if a sample is not strictly between -1 and 1, or the tent of every channel
            shall be learned for the layer as one.
    """
    per_channel = tent.dim() > dims
    if per_channel and learn == "layer":
        raise ValueError("a tent per channel needs learn_tent='channel', got learn_tent='layer'")
    samples = tent.flatten(1) if per_channel else tent.flatten()[None]
    middle = samples.shape[1] // 2
    around = torch.cat([samples[:, :middle], samples[:, middle + 1 :]], dim=1)
    outside = around[around.abs() >= 1]
    if outside.numel():
        raise ValueError(
            f"a learned tent must lie strictly between -1 and 1 but for its centre, got "
            f"{outside[0].item()!r}"
        )
    raw = around.atanh()
    return raw.expand(channels, -1).clone() if learn == "channel" else raw


def tent_from_raw(raw: Tensor, shape: Sequence[int], learn: Literal["layer", "channel"]) -> Tensor:
    r"""Return the tent of raw values, in their dtype.

    Args:
        raw: the raw values, :math:`(1, T - 1)` or :math:`(C_{in}, T - 1)`.
        shape: the tent's shape, of :math:`T` samples.
        learn: whether there is one tent for the layer, or one per channel.

    Shape:
        - Output: ``shape``, or :math:`(C_{in}, *shape)`
    """
    around = raw.tanh()
    middle = raw.shape[1] // 2
    centre = around.new_ones((raw.shape[0], 1))
    samples = torch.cat([around[:, :middle], centre, around[:, middle:]], dim=1)
    tents = samples.unflatten(1, list(shape))
    return tents if learn == "channel" else tents[0]
