from __future__ import annotations

from typing import Any

from fastnn.arrays import FloatArray, positive_int, single
from fastnn.op import op
from fastnn.ops.conv_transpose2d import conv_transpose2d, operands, output_sizes
from fastnn.tape import Backward


@op
def conv_transpose1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    *,
    need: list[bool],
) -> tuple[FloatArray, Backward]:
    """1-D transposed convolution: conv_transpose2d over images of height one.

    Args:
        x: (N, C, L).
        weight: (C, K / groups, kernel length).
        bias: (K) or None (default).
        stride, dilation: time steps of y from one step of x, or one tap, to the next, at least 1. Default 1.
        padding: time steps cut off each side of y. Default 0.
        output_padding: more time steps at the end of y, less than stride or dilation. Default 0.
        groups: see conv_transpose2d. Default 1.

    Returns (N, K, OL), OL = (L - 1) stride - 2 padding + dilation (length - 1) + output_padding + 1.
    Raises as conv_transpose2d.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.conv_transpose1d(np.array([[[1.0, 2.0, 3.0]]]), np.ones((1, 1, 2)))
    array([[[1., 3., 5., 3.]]], dtype=float32)
    """
    name = "conv_transpose1d"
    groups = positive_int(groups, name, "groups")
    x, weight, bias = operands(name, x, weight, bias, groups, "(N, C, L)", "kernel length")
    step, spread = single(stride, name, "stride"), single(dilation, name, "dilation")
    cut, more = single(padding, name, "padding", minimum=0), single(output_padding, name, "output_padding", minimum=0)
    output_sizes(name, x, weight, (step,), (cut,), (more,), (spread,))  # raises where it must
    y, backward_2d = conv_transpose2d.raw(  # type: ignore[attr-defined]
        x[:, :, None, :],
        weight[:, :, None, :],
        bias,
        (1, step),
        (0, cut),
        (0, more),
        groups,
        (1, spread),
        need=need,
    )

    def backward(dy: FloatArray) -> tuple[FloatArray | None, ...]:
        dx, dw, db = backward_2d(dy[:, :, None, :])
        return (None if dx is None else dx[:, :, 0, :]), (None if dw is None else dw[:, :, 0, :]), db

    return y[:, :, 0, :], backward
