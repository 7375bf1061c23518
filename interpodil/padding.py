"""The padding that keeps the plain convolution's output size."""

Sides = tuple[tuple[int, int], tuple[int, int]]


def padding_sides(
    padding: str | tuple[int, int],
    kernel_size: tuple[int, int],
    effective_size: tuple[int, int],
) -> Sides:
    r"""Return ((top, bottom), (left, right)) in pixels for an effective kernel.

    .. math::
        \text{before} = p + \lfloor (S - k) / 2 \rfloor, \quad
        \text{after} = p + \lceil (S - k) / 2 \rceil

    An odd surplus :math:`S - k` puts its extra pixel at the bottom and right. ``"valid"`` is
    :math:`p = 0`. ``"same"`` is what :func:`torch.nn.functional.conv2d` pads for a kernel of the
    effective size: :math:`S - 1` pixels, the extra one at the bottom and right too.

    Args:
        padding: padding :math:`p` of the plain convolution, per axis, or ``"same"``, ``"valid"``.
        kernel_size: base kernel size :math:`k` per axis.
        effective_size: effective kernel size :math:`S` per axis.
    """
    (top, bottom), (left, right) = (
        _axis_sides(padding if isinstance(padding, str) else padding[axis], k, size)
        for axis, (k, size) in enumerate(zip(kernel_size, effective_size, strict=True))
    )
    return (top, bottom), (left, right)


def _axis_sides(padding: str | int, kernel_size: int, effective_size: int) -> tuple[int, int]:
    if padding == "same":
        total, before = effective_size - 1, (effective_size - 1) // 2
    else:
        plain = padding if isinstance(padding, int) else 0
        surplus = effective_size - kernel_size
        total, before = 2 * plain + surplus, plain + surplus // 2
    return before, total - before
