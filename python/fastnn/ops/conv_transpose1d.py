from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastnn.arrays import FloatArray, as_float32, positive_int, single
from fastnn.ops.checks import require_axes
from fastnn.ops.conv2d import Algorithm
from fastnn.ops.conv_transpose2d import check_output_padding, check_transposed, conv_transpose2d, output_sizes
from fastnn.ops.op import Normal, Shape, op
from fastnn.runtime.settings import pinned_algorithm
from fastnn.tape import Backward


def _shape(
    x: Shape,
    weight: Shape,
    bias: Shape | None,
    *,
    stride: int,
    padding: int,
    output_padding: int,
    groups: int,
    dilation: int,
    algorithm: Algorithm = None,
) -> Shape:
    name = "conv_transpose1d"
    require_axes(x, 3, "(N, C, L)", name, "x")
    require_axes(weight, 3, "(in_channels, out_channels / groups, kernel length)", name, "weight")
    check_transposed(name, x, weight, bias, groups)
    sizes = output_sizes(name, x, weight, (stride,), (padding,), (output_padding,), (dilation,))
    return x[0], weight[1] * groups, *sizes


def _run(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None,
    *,
    need: Sequence[bool],
    stride: int,
    padding: int,
    output_padding: int,
    groups: int,
    dilation: int,
    algorithm: Algorithm = None,
) -> tuple[FloatArray, Backward]:
    y, backward_2d = conv_transpose2d.run(
        x[:, :, None, :],
        weight[:, :, None, :],
        bias,
        need=need,
        stride=(1, stride),
        padding=(0, padding),
        output_padding=(0, output_padding),
        groups=groups,
        dilation=(1, dilation),
        algorithm=algorithm,
    )

    def backward(dy: FloatArray) -> tuple[FloatArray | None, ...]:
        dx, dw, db = backward_2d(dy[:, :, None, :])
        return (None if dx is None else dx[:, :, 0, :]), (None if dw is None else dw[:, :, 0, :]), db

    return y[:, :, 0, :], backward


@op(shape=_shape, run=_run)
def conv_transpose1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Normal:
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
    step, spread = single(stride, name, "stride"), single(dilation, name, "dilation")
    more = single(output_padding, name, "output_padding", minimum=0)
    check_output_padding(name, (step,), (more,), (spread,))
    arrays = (
        as_float32(x, name, "x"),
        as_float32(weight, name, "weight"),
        None if bias is None else as_float32(bias, name, "bias"),
    )
    return arrays, {
        "stride": step,
        "padding": single(padding, name, "padding", minimum=0),
        "output_padding": more,
        "groups": positive_int(groups, name, "groups"),
        "dilation": spread,
        **pinned_algorithm(),
    }
