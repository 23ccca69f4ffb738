from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastnn import _core
from fastnn.arrays import FloatArray, channels_last, pair, single
from fastnn.ops.broadcast import only_floats
from fastnn.ops.checks import check_windows, require_axes
from fastnn.ops.op import Normal, Shape, op
from fastnn.tape import Backward

Pair = tuple[int, int]


def _shape_2d(x: Shape, *, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool) -> Shape:
    require_axes(x, 4, "(N, C, H, W)", "maxpool2d", "x")
    return *x[:2], *check_windows("maxpool2d", x, kernel_size, padding, dilation, stride, ceil_mode)


def _run_2d(
    x: FloatArray,
    *,
    need: Sequence[bool],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
) -> tuple[FloatArray, Backward | None]:
    shape, windows = x.shape, (kernel_size, stride, padding, dilation, ceil_mode)
    y, index = _core.maxpool2d_forward(channels_last(x), *windows, need[0])
    if index is None:
        return y, None

    def backward(dy: FloatArray) -> tuple[FloatArray]:
        return (_core.maxpool2d_backward(channels_last(dy), index, shape, *windows),)

    return y, backward


@op(shape=_shape_2d, run=_run_2d, floats=1)
def maxpool2d(
    x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Normal:
    """The largest value of each window of an image, per channel.

    Args:
        x: (N, C, H, W); channels last in memory is read in place, anything else is copied to that layout.
        kernel_size: pixels, int or (vertical, horizontal).
        stride: pixels, int or (vertical, horizontal). Default None: kernel_size.
        padding: pixels of -inf on each side, at most half of kernel_size. Default 0.
        dilation: pixels between taps, at least 1. Default 1.
        ceil_mode: keep a last window that hangs over the far edge, as long as it begins inside the image or the
            padding before it. Default False.

    Returns (N, C, OH, OW), channels last in memory, OH = (H + 2 padding - dilation (kernel_size - 1) - 1) / stride + 1,
    rounded down, or up with ceil_mode. NaN in a window gives NaN; the gradient goes to the first of equal values, as in
    torch. Raises ValueError when no window fits or the padding is too large, TypeError for Tensors of
    integers and bool.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.maxpool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 0]
    array([[ 5.,  7.],
           [13., 15.]], dtype=float32)
    """
    kernel = pair(kernel_size, "maxpool2d", "kernel_size")
    return (only_floats(x, "maxpool2d", "expected float32; write x.float()"),), {
        "kernel_size": kernel,
        "stride": kernel if stride is None else pair(stride, "maxpool2d", "stride"),
        "padding": pair(padding, "maxpool2d", "padding", minimum=0),
        "dilation": pair(dilation, "maxpool2d", "dilation"),
        "ceil_mode": bool(ceil_mode),
    }


def _shape_1d(x: Shape, *, kernel_size: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> Shape:
    require_axes(x, 3, "(N, C, L)", "maxpool1d", "x")
    return *x[:2], *check_windows("maxpool1d", x, (kernel_size,), (padding,), (dilation,), (stride,), ceil_mode)


def _run_1d(
    x: FloatArray,
    *,
    need: Sequence[bool],
    kernel_size: int,
    stride: int,
    padding: int,
    dilation: int,
    ceil_mode: bool,
) -> tuple[FloatArray, Backward | None]:
    y, backward_2d = maxpool2d.run(
        x[:, :, None, :],
        need=need,
        kernel_size=(1, kernel_size),
        stride=(1, stride),
        padding=(0, padding),
        dilation=(1, dilation),
        ceil_mode=ceil_mode,
    )
    if backward_2d is None:
        return y[:, :, 0, :], None

    def backward(dy: FloatArray) -> tuple[FloatArray]:
        return (backward_2d(dy[:, :, None, :])[0][:, :, 0, :],)

    return y[:, :, 0, :], backward


@op(shape=_shape_1d, run=_run_1d, floats=1)
def maxpool1d(
    x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Normal:
    """The largest value of each window of a sequence, per channel: maxpool2d over images of height one.

    Args:
        x: (N, C, L).
        kernel_size, stride, padding, dilation, ceil_mode: as maxpool2d, in time steps.

    Returns (N, C, OL). Raises as maxpool2d.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.maxpool1d(np.array([[[1.0, 4.0, 3.0, 2.0, 9.0]]]), 2)
    array([[[4., 3.]]], dtype=float32)
    """
    kernel = single(kernel_size, "maxpool1d", "kernel_size")
    return (only_floats(x, "maxpool1d", "expected float32; write x.float()"),), {
        "kernel_size": kernel,
        "stride": kernel if stride is None else single(stride, "maxpool1d", "stride"),
        "padding": single(padding, "maxpool1d", "padding", minimum=0),
        "dilation": single(dilation, "maxpool1d", "dilation"),
        "ceil_mode": bool(ceil_mode),
    }
