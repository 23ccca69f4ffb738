from __future__ import annotations

from typing import Any

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32, channels_last, pair, require_ndim, single
from fastnn.op import op
from fastnn.tape import Backward

Pair = tuple[int, int]


def check_windows(
    op: str, shape: tuple[int, ...], kernel: Pair, padding: Pair, dilation: Pair, stride: Pair, ceil_mode: bool
) -> None:
    """Raises where an image (N, C, H, W) holds no window, or where padding exceeds half of the kernel."""
    for axis, size, k, p, d, s in zip(("height", "width"), shape[2:], kernel, padding, dilation, stride, strict=True):
        if 2 * p > k:
            raise ValueError(f"{op}: padding {p} is more than half of kernel_size {k}")
        extent = d * (k - 1) + 1
        if size < 1 or size + 2 * p + (s - 1 if ceil_mode else 0) < extent:
            raise ValueError(
                f"{op}: kernel_size {k} with dilation {d} does not fit the {axis} of x {shape} padded to {size + 2 * p}"
            )


@op
def maxpool2d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    *,
    need: list[bool],
) -> tuple[FloatArray, Backward | None]:
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
    torch. Raises ValueError when no window fits or the padding is too large.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.maxpool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 0]
    array([[ 5.,  7.],
           [13., 15.]], dtype=float32)
    """
    x = as_float32(x, "maxpool2d", "x")
    require_ndim(x, 4, "(N, C, H, W)", "maxpool2d", "x")
    kernel = pair(kernel_size, "maxpool2d", "kernel_size")
    step = kernel if stride is None else pair(stride, "maxpool2d", "stride")
    around, spread = pair(padding, "maxpool2d", "padding", minimum=0), pair(dilation, "maxpool2d", "dilation")
    check_windows("maxpool2d", x.shape, kernel, around, spread, step, ceil_mode)
    shape, windows = x.shape, (kernel, step, around, spread, bool(ceil_mode))
    y, index = _core.maxpool2d_forward(channels_last(x), *windows, need[0])
    if index is None:
        return y, None

    def backward(dy: FloatArray) -> tuple[FloatArray]:
        return (_core.maxpool2d_backward(channels_last(dy), index, shape, *windows),)

    return y, backward


@op
def maxpool1d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    *,
    need: list[bool],
) -> tuple[FloatArray, Backward | None]:
    """The largest value of each window of a sequence, per channel: maxpool2d over images of height one.

    Args:
        x: (N, C, L).
        kernel_size, stride, padding, dilation, ceil_mode: as maxpool2d, in time steps.

    Returns (N, C, OL). Raises as maxpool2d.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.maxpool1d(np.array([[[1.0, 4.0, 3.0, 2.0, 9.0]]]), 2)
    array([[[4., 3.]]], dtype=float32)
    """
    x = as_float32(x, "maxpool1d", "x")
    require_ndim(x, 3, "(N, C, L)", "maxpool1d", "x")
    y, backward_2d = maxpool2d.raw(  # type: ignore[attr-defined]
        x[:, :, None, :],
        (1, single(kernel_size, "maxpool1d", "kernel_size")),
        None if stride is None else (1, single(stride, "maxpool1d", "stride")),
        (0, single(padding, "maxpool1d", "padding", minimum=0)),
        (1, single(dilation, "maxpool1d", "dilation")),
        ceil_mode,
        need=need,
    )
    if backward_2d is None:
        return y[:, :, 0, :], None

    def backward(dy: FloatArray) -> tuple[FloatArray]:
        return (backward_2d(dy[:, :, None, :])[0][:, :, 0, :],)

    return y[:, :, 0, :], backward
