from __future__ import annotations

from typing import Any

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32, channels_last, pair, positive_int, require_ndim, single
from fastnn.op import op
from fastnn.ops.maxpool2d import check_windows
from fastnn.tape import Backward


@op
def avgpool2d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    need: list[bool],
) -> tuple[FloatArray, Backward]:
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
    x = as_float32(x, "avgpool2d", "x")
    require_ndim(x, 4, "(N, C, H, W)", "avgpool2d", "x")
    kernel = pair(kernel_size, "avgpool2d", "kernel_size")
    step = kernel if stride is None else pair(stride, "avgpool2d", "stride")
    around = pair(padding, "avgpool2d", "padding", minimum=0)
    check_windows("avgpool2d", x.shape, kernel, around, (1, 1), step, ceil_mode)
    divisor = 0 if divisor_override is None else positive_int(divisor_override, "avgpool2d", "divisor_override")
    shape, windows = x.shape, (kernel, step, around, bool(ceil_mode), bool(count_include_pad), divisor)

    def backward(dy: FloatArray) -> tuple[FloatArray]:
        return (_core.avgpool2d_backward(channels_last(dy), shape, *windows),)

    return _core.avgpool2d_forward(channels_last(x), *windows), backward


@op
def avgpool1d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    *,
    need: list[bool],
) -> tuple[FloatArray, Backward]:
    """The mean of each window of a sequence, per channel: avgpool2d over images of height one.

    Args:
        x: (N, C, L).
        kernel_size, stride, padding, ceil_mode, count_include_pad: as avgpool2d, in time steps.

    Returns (N, C, OL). Raises as avgpool2d.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.avgpool1d(np.array([[[1.0, 4.0, 3.0, 2.0, 9.0]]]), 2)
    array([[[2.5, 2.5]]], dtype=float32)
    """
    x = as_float32(x, "avgpool1d", "x")
    require_ndim(x, 3, "(N, C, L)", "avgpool1d", "x")
    y, backward_2d = avgpool2d.raw(  # type: ignore[attr-defined]
        x[:, :, None, :],
        (1, single(kernel_size, "avgpool1d", "kernel_size")),
        None if stride is None else (1, single(stride, "avgpool1d", "stride")),
        (0, single(padding, "avgpool1d", "padding", minimum=0)),
        ceil_mode,
        count_include_pad,
        need=need,
    )

    def backward(dy: FloatArray) -> tuple[FloatArray]:
        return (backward_2d(dy[:, :, None, :])[0][:, :, 0, :],)

    return y[:, :, 0, :], backward
