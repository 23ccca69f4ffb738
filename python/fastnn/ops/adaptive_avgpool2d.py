from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32, channels_last, positive_int, single
from fastnn.ops.checks import require_axes
from fastnn.ops.op import Normal, Shape, op
from fastnn.tape import Backward

Pair = tuple[int | None, int | None]


def output_sizes(output_size: Any, op: str) -> tuple[int | None, int | None]:
    """(height, width) from an int or a pair of ints, None where the size of the input is kept."""
    sizes = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    if len(sizes) != 2:
        raise ValueError(f"{op}: output_size is {output_size!r}, expected one integer or two")
    high, wide = (None if s is None else positive_int(s, op, "output_size", minimum=0) for s in sizes)
    return high, wide


def _sizes(x: Shape, output_size: Pair) -> tuple[int, int]:
    high, wide = output_size
    return x[2] if high is None else high, x[3] if wide is None else wide


def _shape_2d(x: Shape, *, output_size: Pair) -> Shape:
    require_axes(x, 4, "(N, C, H, W)", "adaptive_avgpool2d", "x")
    if 0 in x[2:]:
        raise ValueError(f"adaptive_avgpool2d: x {x} has an empty image")
    return *x[:2], *_sizes(x, output_size)


def _run_2d(x: FloatArray, *, need: Sequence[bool], output_size: Pair) -> tuple[FloatArray, Backward]:
    shape = x.shape

    def backward(dy: FloatArray) -> tuple[FloatArray]:
        return (_core.adaptive_avgpool2d_backward(channels_last(dy), shape),)

    return _core.adaptive_avgpool2d_forward(channels_last(x), _sizes(shape, output_size)), backward


@op(shape=_shape_2d, run=_run_2d)
def adaptive_avgpool2d(x: Any, output_size: Any) -> Normal:
    """Means over a grid of bins that covers the image, whatever its size.

    y[n, c, i, j] is the mean of rows floor(i H / OH) up to, not including, ceil((i + 1) H / OH), columns likewise.

    Args:
        x: (N, C, H, W), H and W at least 1; channels last in memory is read in place, anything else is copied.
        output_size: (OH, OW) or one int for both; None keeps H or W. 1 is the mean of each whole channel.

    Returns (N, C, OH, OW), channels last in memory. Raises ValueError for an empty image or a negative size.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.adaptive_avgpool2d(np.arange(9.0).reshape(1, 1, 3, 3), (2, 1))[0, 0]
    array([[2.5],
           [5.5]], dtype=float32)
    """
    sizes = output_sizes(output_size, "adaptive_avgpool2d")
    return (as_float32(x, "adaptive_avgpool2d", "x"),), {"output_size": sizes}


def _shape_1d(x: Shape, *, output_size: int) -> Shape:
    require_axes(x, 3, "(N, C, L)", "adaptive_avgpool1d", "x")
    if not x[2]:
        raise ValueError(f"adaptive_avgpool1d: x {x} has an empty sequence")
    return *x[:2], output_size


def _run_1d(x: FloatArray, *, need: Sequence[bool], output_size: int) -> tuple[FloatArray, Backward]:
    y, backward_2d = adaptive_avgpool2d.run(x[:, :, None, :], need=need, output_size=(1, output_size))

    def backward(dy: FloatArray) -> tuple[FloatArray]:
        return (backward_2d(dy[:, :, None, :])[0][:, :, 0, :],)

    return y[:, :, 0, :], backward


@op(shape=_shape_1d, run=_run_1d)
def adaptive_avgpool1d(x: Any, output_size: Any) -> Normal:
    """Means over bins that cover the sequence, whatever its length: adaptive_avgpool2d over images of height one.

    Args:
        x: (N, C, L), L at least 1.
        output_size: OL, an int.

    Returns (N, C, OL). Raises as adaptive_avgpool2d.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.adaptive_avgpool1d(np.arange(4.0).reshape(1, 1, 4), 2)
    array([[[0.5, 2.5]]], dtype=float32)
    """
    length = single(output_size, "adaptive_avgpool1d", "output_size", minimum=0)
    return (as_float32(x, "adaptive_avgpool1d", "x"),), {"output_size": length}
