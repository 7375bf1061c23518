"""The interpodilated convolution as modules of one, two and three dimensions."""

from torch import nn

from interpodil.base import InterpodilConv


class InterpodilConv2d(InterpodilConv, nn.Conv2d):
    r"""Apply a 2D convolution whose kernel is a small base kernel, spread out by interpolation.

    Tap :math:`j` of the base kernel sits at pixel :math:`d j` as in a dilated convolution, and
    the pixels between the taps are interpolated. The output for an input of
    :math:`C_{in}` channels is that of a plain convolution with the effective kernel:

    .. math::
        \text{out}(N_i, C_{\text{out}_j}) = \text{bias}(C_{\text{out}_j}) +
        \sum_{m = 0}^{C_{\text{in}} - 1} K(C_{\text{out}_j}, m) \star \text{input}(N_i, m),
        \quad
        K_{uv} = \sum_{j} \text{weight}_j \, E_{juv}

    :math:`E_j` is the tent as placed at tap :math:`j`; see
    :func:`interpodil.expansion_tensor`. The base weights' names and shapes are those of
    :class:`torch.nn.Conv2d`: state dicts fit both ways.

    Related: blur-pool (Zhang 2019, "Making Convolutional Networks Shift-Invariant Again"),
    smoothed dilated convolutions (Wang & Ji 2018) and dilated convolution with learnable spacings
    (Khalfaoui-Hassani et al. 2023).

    Note:
        :attr:`padding` is that of the plain :math:`k \times k` convolution without dilation that
        the layer replaces. The layer adds what the effective kernel needs, so the output is as
        large as the plain convolution's.

    Note:
        Where every tap has the same tent (``fade`` and ``growth`` left alone) the layer costs as
        many multiply-adds per channel pair as the plain :math:`k \times k` convolution, for any
        size of the effective kernel. Where no tap reaches another pixel (``dilation=1`` with
        ``fade=0`` or ``growth=kernel_size``) it is a plain convolution.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: taps of the base kernel, an int or one per axis. Default: 3
        stride: stride of the convolution, an int or one per axis. Default: 1
        padding: padding of the plain convolution, an int, one per axis, ``"same"`` or
            ``"valid"``. Default: 0
        dilation: pixels between neighboring taps, an int or one per axis. Default: 2
        groups: number of groups of channels, as in Conv2d. Default: 1
        bias: whether the output gets a learnable bias. Default: ``True``
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
            Default: ``"zeros"``
        device: device of the parameters.
        dtype: dtype of the parameters.
        fade: pixels beyond the outermost taps over which the kernel falls to zero, a real number
            or one per axis. 0 stops at the taps, ``None`` is ``dilation - 1`` and leaves the tent
            unstretched. Default: ``None``
        growth: size the effective kernel is cropped to, an int or one per axis; the canonical
            window :math:`d (k - 1) + 1` drops the fade, ``None`` keeps all of it.
            Default: ``None``
        edge: coefficient half-way to the next tap along one axis. Default: 0.5
        corner: coefficient half-way to the next tap along both axes. Default: 0.25
        tent: instead of ``edge`` and ``corner``, a profile (``"linear"``, ``"cosine"``,
            ``"gaussian"``) or the tent itself, a tensor of shape
            :math:`(2 d_0 - 1, 2 d_1 - 1)`, or with a leading axis of :math:`C_{in}`, with 1 at the
            center. Default: ``None``
        learn_tent: whether the tent is learned, one for the layer (``True`` or ``"layer"``) or one
            per input channel (``"channel"``), from the given one on. Default: ``False``
        init_scale: factor on the initial weights; with 1 the output's variance for white input
            is that of a plain convolution under its default initialization. Default: 1.0
        gain: where the expansion's gain is taken out: of the initial weights (``"init"``), or of
            the effective kernel in every pass (``"forward"``), so that the gradients have a plain
            convolution's scale too and the initial weights are a plain convolution's. The tent's
            samples carry it, at no cost. Default: ``"init"``
        gain_of: the input whose gain it is, ``"white"`` noise or a ``"constant"`` image (see
            :func:`interpodil.expansion_gain`), or the gain itself, a number. A learned tent's is
            that of its initial values. Default: ``"white"``
        algorithm: ``"expanded"`` (one convolution with the effective kernel), ``"tent_first"`` (a
            filter with the tent, then the base kernel; needs the same tent at every tap),
            ``"separable_tent"`` (the same with one filter per axis), ``"axis_first"`` (filters
            along the first axis, then one convolution) or ``"auto"``, which chooses from
            measurements. All agree to rounding. The last two need a separable tent: the product
            of one line per axis, to rounding in double precision. Default: ``"auto"``

    Shape:
        - Input: :math:`(N, C_{in}, H, W)` or :math:`(C_{in}, H, W)`
        - Output: :math:`(N, C_{out}, H_{out}, W_{out})` or :math:`(C_{out}, H_{out}, W_{out})`

          .. math::
              H_{out} = \left\lfloor \frac{H + 2 \times \text{padding}[0]
                        - \text{kernel\_size}[0]}{\text{stride}[0]} + 1 \right\rfloor

    Attributes:
        weight: the learnable base weights of shape
            :math:`(C_{out}, C_{in} / \text{groups}, k_0, k_1)`, drawn as
            :class:`torch.nn.Conv2d` draws them, times ``init_factor``: ``init_scale`` over the
            gain, or ``init_scale`` alone with ``gain="forward"``.
        bias: the learnable bias of shape :math:`(C_{out})`, drawn as in Conv2d.
        raw_tent: with ``learn_tent``, the learnable values behind the tent, of shape :math:`(1, T -
            1)` or :math:`(C_{in}, T - 1)` for :math:`T` samples; their :math:`\tanh` is the tent
            around its center. Weight decay would pull it towards zero; see
            :func:`interpodil.no_weight_decay`. ``None`` otherwise.
        tent: the current tent, a tensor.
        effective_size: size of the effective kernel per axis.

    Raises:
        ValueError: if an argument breaks a rule above, or an input does not fit the layer.

    Example::

        >>> layer = InterpodilConv2d(3, 16, 3, stride=2, padding=1)
        >>> layer(torch.randn(1, 3, 32, 32)).shape
        torch.Size([1, 16, 16, 16])
        >>> layer.weight.shape[2:], layer.effective_kernel().shape[2:]
        (torch.Size([3, 3]), torch.Size([7, 7]))
    """

    dims = 2


class InterpodilConv1d(InterpodilConv, nn.Conv1d):
    r"""Apply a 1D convolution whose kernel is a small base kernel, spread out by interpolation.

    See :class:`InterpodilConv2d` for the formula and the arguments; ``corner`` has no effect.

    Shape:
        - Input: :math:`(N, C_{in}, L)` or :math:`(C_{in}, L)`
        - Output: :math:`(N, C_{out}, L_{out})` or :math:`(C_{out}, L_{out})`

    Attributes:
        weight: the learnable base weights of shape :math:`(C_{out}, C_{in} / \text{groups}, k)`.
        bias: the learnable bias of shape :math:`(C_{out})`.

    Raises:
        ValueError: as :class:`InterpodilConv2d` does.

    Example::

        >>> InterpodilConv1d(2, 4, padding=1)(torch.randn(1, 2, 100)).shape
        torch.Size([1, 4, 100])
    """

    dims = 1


class InterpodilConv3d(InterpodilConv, nn.Conv3d):
    r"""Apply a 3D convolution whose kernel is a small base kernel, spread out by interpolation.

    See :class:`InterpodilConv2d` for the formula and the arguments. Half-way along all three axes
    the tent's coefficient is ``edge * corner``.

    Shape:
        - Input: :math:`(N, C_{in}, D, H, W)` or :math:`(C_{in}, D, H, W)`
        - Output: :math:`(N, C_{out}, D_{out}, H_{out}, W_{out})`, without :math:`N` if the input
          has none

    Attributes:
        weight: the learnable base weights of shape
            :math:`(C_{out}, C_{in} / \text{groups}, k_0, k_1, k_2)`.
        bias: the learnable bias of shape :math:`(C_{out})`.

    Raises:
        ValueError: as :class:`InterpodilConv2d` does.

    Example::

        >>> InterpodilConv3d(1, 2, padding=1, stride=2)(torch.randn(1, 1, 8, 16, 16)).shape
        torch.Size([1, 2, 4, 8, 8])
    """

    dims = 3


# The layer that replaces each plain convolution.
LAYERS: dict[type[nn.Module], type[InterpodilConv]] = {
    nn.Conv1d: InterpodilConv1d,
    nn.Conv2d: InterpodilConv2d,
    nn.Conv3d: InterpodilConv3d,
}
