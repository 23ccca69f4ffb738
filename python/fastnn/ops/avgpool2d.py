from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32, channels_last, pair, positive_int, single
from fastnn.ops.checks import check_windows, require_axes
from fastnn.ops.op import Normal, Shape, op
from fastnn.tape import Backward

Pair = tuple[int, int]


def _shape_2d(
    x: Shape,
    *,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Shape:
    require_axes(x, 4, "(N, C, H, W)", "avgpool2d", "x")
    return *x[:2], *check_windows("avgpool2d", x, kernel_size, padding, (1, 1), stride, ceil_mode)


def _run_2d(
    x: FloatArray,
    *,
    need: Sequence[bool],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> tuple[FloatArray, Backward]:
    shape = x.shape
    windows = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override or 0)

    def backward(dy: FloatArray) -> tuple[FloatArray]:
        return (_core.avgpool2d_backward(channels_last(dy), shape, *windows),)

    return _core.avgpool2d_forward(channels_last(x), *windows), backward


@op(shape=_shape_2d, run=_run_2d)
def avgpool2d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Normal:
    """The mean of each window of an image, per channel.

    Args:
        x: (N, C, H, W); channels last in memory is read in place, anything else is copied to that layout.
        kernel_size: pixels, int or (vertical, horizontal).
        stride: pixels, int or (vertical, horizontal). Default None: kernel_size.
        padding: pixels of zeros on each side, at most half of kernel_size. Default 0.
        ceil_mode: keep a last window that hangs over the far edge, as long as it begins inside the image or the
            padding before it; what lies beyond the padding is not counted. Default False.
        count_include_pad: whether padding counts in the mean. Default True.
        divisor_override: divide every sum by this, at least 1, instead of by the number of pixels. Default None.

    Returns (N, C, OH, OW), channels last in memory, OH = (H + 2 padding - kernel_size) / stride + 1, rounded down, or
    up with ceil_mode. Raises ValueError when no window fits or the padding is too large.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.avgpool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]], dtype=float32)
    """
    kernel, divisor = pair(kernel_size, "avgpool2d", "kernel_size"), divisor_override
    return (as_float32(x, "avgpool2d", "x"),), {
        "kernel_size": kernel,
        "stride": kernel if stride is None else pair(stride, "avgpool2d", "stride"),
        "padding": pair(padding, "avgpool2d", "padding", minimum=0),
        "ceil_mode": bool(ceil_mode),
        "count_include_pad": bool(count_include_pad),
        "divisor_override": None if divisor is None else positive_int(divisor, "avgpool2d", "divisor_override"),
    }


def _shape_1d(
    x: Shape, *, kernel_size: int, stride: int, padding: int, ceil_mode: bool, count_include_pad: bool
) -> Shape:
    require_axes(x, 3, "(N, C, L)", "avgpool1d", "x")
    return *x[:2], *check_windows("avgpool1d", x, (kernel_size,), (padding,), (1,), (stride,), ceil_mode)


def _run_1d(
    x: FloatArray,
    *,
    need: Sequence[bool],
    kernel_size: int,
    stride: int,
    padding: int,
    ceil_mode: bool,
    count_include_pad: bool,
) -> tuple[FloatArray, Backward]:
    y, backward_2d = avgpool2d.run(
        x[:, :, None, :],
        need=need,
        kernel_size=(1, kernel_size),
        stride=(1, stride),
        padding=(0, padding),
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        divisor_override=None,
    )

    def backward(dy: FloatArray) -> tuple[FloatArray]:
        return (backward_2d(dy[:, :, None, :])[0][:, :, 0, :],)

    return y[:, :, 0, :], backward


@op(shape=_shape_1d, run=_run_1d)
def avgpool1d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Normal:
    """The mean of each window of a sequence, per channel: avgpool2d over images of height one.

    Args:
        x: (N, C, L).
        kernel_size, stride, padding, ceil_mode, count_include_pad: as avgpool2d, in time steps.

    Returns (N, C, OL). Raises as avgpool2d.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.avgpool1d(np.array([[[1.0, 4.0, 3.0, 2.0, 9.0]]]), 2)
    array([[[2.5, 2.5]]], dtype=float32)
    """
    kernel = single(kernel_size, "avgpool1d", "kernel_size")
    return (as_float32(x, "avgpool1d", "x"),), {
        "kernel_size": kernel,
        "stride": kernel if stride is None else single(stride, "avgpool1d", "stride"),
        "padding": single(padding, "avgpool1d", "padding", minimum=0),
        "ceil_mode": bool(ceil_mode),
        "count_include_pad": bool(count_include_pad),
    }
