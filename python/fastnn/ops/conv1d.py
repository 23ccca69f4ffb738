from __future__ import annotations

from typing import Any

from fastnn.arrays import FloatArray, as_float32, require_ndim, single
from fastnn.op import op
from fastnn.ops.conv2d import conv2d
from fastnn.tape import Backward


@op
def conv1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    need: list[bool],
) -> tuple[FloatArray, Backward]:
    """1-D cross-correlation of a sequence with a bank of filters: conv2d over images of height one.

    Args:
        x: (N, C, L).
        weight: (K, C / groups, kernel length).
        bias: (K) or None (default).
        stride, dilation: time steps, at least 1. Default 1.
        padding: time steps of zeros on each side, "valid" (0) or "same" (keeps L, stride 1 only). Default 0.
        groups: see conv2d. Default 1.

    Returns (N, K, OL), OL = (L + 2 padding - dilation (length - 1) - 1) // stride + 1. Raises as conv2d.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.conv1d(np.arange(4.0).reshape(1, 1, 4), np.ones((1, 1, 2)))
    array([[[1., 3., 5.]]], dtype=float32)
    """
    x = as_float32(x, "conv1d", "x")
    weight = as_float32(weight, "conv1d", "weight")
    require_ndim(x, 3, "(N, C, L)", "conv1d", "x")
    require_ndim(weight, 3, "(out_channels, in_channels / groups, kernel length)", "conv1d", "weight")
    if not isinstance(padding, str):
        padding = (0, single(padding, "conv1d", "padding", minimum=0))
    y, backward_2d = conv2d.raw(  # type: ignore[attr-defined]
        x[:, :, None, :],
        weight[:, :, None, :],
        bias,
        (1, single(stride, "conv1d", "stride")),
        padding,
        (1, single(dilation, "conv1d", "dilation")),
        groups,
        need=need,
    )

    def backward(dy: FloatArray) -> tuple[FloatArray | None, ...]:
        dx, dw, db = backward_2d(dy[:, :, None, :])
        return (None if dx is None else dx[:, :, 0, :]), (None if dw is None else dw[:, :, 0, :]), db

    return y[:, :, 0, :], backward
