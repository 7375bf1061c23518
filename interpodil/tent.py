"""The tent: the interpolation filter that every tap of a base kernel is spread by."""

import math


def tent(
    dilation: tuple[int, int], edge: float = 0.5, corner: float = 0.25
) -> tuple[tuple[float, ...], ...]:
    r"""Return the tent of a dilation as rows of coefficients, with 1 at its centre.

    .. math::
        T_{ab} = \sum_{m=0}^{2} \sum_{n=0}^{2} K_{mn} \,
                 \Lambda\!\left(\tfrac{2|a|}{d_0} - m\right)
                 \Lambda\!\left(\tfrac{2|b|}{d_1} - n\right),
        \quad
        K = \begin{pmatrix} 1 & e & 0 \\ e & c & 0 \\ 0 & 0 & 0 \end{pmatrix},
        \quad \Lambda(t) = \max(0, 1 - |t|)

    ``edge`` is the coefficient half-way to the next tap along one axis, ``corner`` the one
    half-way along both. Between these knots the tent is bilinear; it is sampled at whole pixels
    and mirrored. For a dilation of 2 it is ``[[c, e, c], [e, 1, e], [c, e, c]]``. ``edge=0.5,
    corner=0.25`` is linear interpolation for every dilation, ``corner=edge**2`` a separable tent,
    and for a dilation of 2 ``edge=corner=0`` leaves the taps alone.

    Low-pass filters of this shape appear as blur-pool in Zhang 2019, "Making Convolutional
    Networks Shift-Invariant Again", and as the smoothing of dilated convolutions in Wang & Ji
    2018, "Smoothed Dilated Convolutions for Improved Dense Prediction".

    Args:
        dilation: pixels between neighbouring taps, per axis.
        edge: the edge coefficient :math:`e`.
        corner: the corner coefficient :math:`c`.

    Shape:
        - Output: :math:`(2 d_0 - 1, 2 d_1 - 1)`

    Raises:
        ValueError: if a dilation is below 1, or a coefficient is not finite.

    Example::

        >>> tent((2, 2))
        ((0.25, 0.5, 0.25), (0.5, 1.0, 0.5), (0.25, 0.5, 0.25))
    """
    if min(dilation) < 1:
        raise ValueError(f"dilation must be >= 1, got {dilation!r}")
    check_tent_coefficients(edge, corner)
    knots = ((1.0, edge), (edge, corner))
    rows, columns = (_knot_weights(d) for d in dilation)
    return tuple(
        tuple(
            sum(row[m] * column[n] * knots[m][n] for m in (0, 1) for n in (0, 1))
            for column in columns
        )
        for row in rows
    )


def check_tent_coefficients(edge: float, corner: float) -> None:
    """Raise a :class:`ValueError` if a tent coefficient is not finite."""
    for name, value in (("edge", edge), ("corner", corner)):
        if not -math.inf < value < math.inf:
            raise ValueError(f"{name} must be finite, got {value!r}")


def _knot_weights(dilation: int) -> tuple[tuple[float, float], ...]:
    """Weights of the knots at 0 and d/2 in every sample of one axis; the knot at d is zero."""
    positions = [2 * abs(a) / dilation for a in range(1 - dilation, dilation)]
    return tuple((max(0.0, 1 - t), max(0.0, 1 - abs(t - 1))) for t in positions)
