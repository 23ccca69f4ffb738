from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32, channels_last, image, pair, positive_int
from fastnn.ops.checks import Sizes, require_axes
from fastnn.ops.conv2d import Algorithm
from fastnn.ops.op import Normal, Shape, op
from fastnn.runtime.settings import pinned_algorithm
from fastnn.tape import Backward

Pair = tuple[int, int]


def check_transposed(name: str, x: Shape, weight: Shape, bias: Shape | None, groups: int) -> None:
    """x (N, C, ...), weight (C, K / groups, ...), bias (K)."""
    if x[1] != weight[0]:
        raise ValueError(f"{name}: x {x} has {x[1]} channels but weight {weight} expects {weight[0]}")
    if x[1] % groups:
        raise ValueError(f"{name}: x {x} has {x[1]} channels, not a multiple of groups={groups}")
    channels = (weight[1] * groups,)
    if bias is not None and bias != channels:
        raise ValueError(f"{name}: bias has shape {bias} but weight {weight} with groups={groups} expects {channels}")


def check_output_padding(op: str, stride: Sizes, output_padding: Sizes, dilation: Sizes) -> None:
    for step, more, apart in zip(stride, output_padding, dilation, strict=True):
        if more >= max(step, apart):
            raise ValueError(f"{op}: output_padding is {more}, expected less than stride {step} or dilation {apart}")


def output_sizes(
    name: str, x: Shape, weight: Shape, stride: Sizes, padding: Sizes, output_padding: Sizes, dilation: Sizes
) -> Sizes:
    """Sizes of the axes of y after (N, K): (size - 1) stride - 2 padding + dilation (taps - 1) + output_padding + 1."""
    sizes = []
    for i, (step, before, more, apart) in enumerate(zip(stride, padding, output_padding, dilation, strict=True)):
        if x[2 + i] < 1 or weight[2 + i] < 1:
            raise ValueError(f"{name}: x {x} and weight {weight} must have at least one pixel and one tap")
        size = (x[2 + i] - 1) * step - 2 * before + apart * (weight[2 + i] - 1) + more + 1
        if not 1 <= size < 2**62:
            raise ValueError(
                f"{name}: x {x}, weight {weight}, stride {step}, padding {before}, output_padding {more} and "
                f"dilation {apart} give an output of size {size}"
            )
        sizes.append(size)
    return tuple(sizes)


def _add_bias(y: FloatArray, bias: FloatArray | None) -> None:
    """y (N, C, H, W), channels last in memory, += bias (C): row by row, since C alone would be a short inner loop."""
    if bias is None:
        return
    n, c, h, w = y.shape
    rows = y.transpose(0, 2, 3, 1).reshape(n * h, w * c)  # a view
    rows += np.tile(bias, w)


def _with_zeros_after(x: FloatArray, more: tuple[int, int]) -> FloatArray:
    """``x`` with so many more rows and columns of zeros; the same object where there are none."""
    return np.pad(x, ((0, 0), (0, 0), (0, more[0]), (0, more[1]))) if any(more) else x


def _sum_pixels(dy: FloatArray) -> FloatArray:
    """Sum of dy (N, C, H, W) over all but the channels, (C)."""
    n, c, h, w = dy.shape
    return _core.sum_rows(channels_last(dy).transpose(0, 2, 3, 1).reshape(n * h * w, c))


def _shape(
    x: Shape,
    weight: Shape,
    bias: Shape | None,
    *,
    stride: Pair,
    padding: Pair,
    output_padding: Pair,
    groups: int,
    dilation: Pair,
    algorithm: Algorithm = None,
) -> Shape:
    name = "conv_transpose2d"
    require_axes(x, 4, "(N, C, H, W)", name, "x")
    require_axes(weight, 4, "(in_channels, out_channels / groups, kernel height, kernel width)", name, "weight")
    check_transposed(name, x, weight, bias, groups)
    return x[0], weight[1] * groups, *output_sizes(name, x, weight, stride, padding, output_padding, dilation)


def _run(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None,
    *,
    need: Sequence[bool],
    stride: Pair,
    padding: Pair,
    output_padding: Pair,
    groups: int,
    dilation: Pair,
    algorithm: Algorithm = None,
) -> tuple[FloatArray, Backward]:
    y_shape = _shape(
        x.shape,
        weight.shape,
        None if bias is None else bias.shape,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        groups=groups,
        dilation=dilation,
    )
    weight = np.ascontiguousarray(weight)
    sides, (h, w) = (padding[0], padding[0], padding[1], padding[1]), x.shape[2:]
    # The convolution back from y has a position more for each whole stride of output_padding: there x counts as zero.
    x = channels_last(_with_zeros_after(x, (output_padding[0] // stride[0], output_padding[1] // stride[1])))
    way, dx_way, dw_way = algorithm if isinstance(algorithm, tuple) else (algorithm, algorithm, algorithm)
    y = _core.conv2d_backward_input(x, weight, y_shape, stride, sides, dilation, groups, way)
    _add_bias(y, bias)
    w_shape, kept_x, kept_w = weight.shape, x if need[1] else None, weight if need[0] else None

    def backward(dy: FloatArray) -> tuple[FloatArray | None, ...]:
        dy, dx, dw = image(dy), None, None
        if kept_w is not None:
            dx = _core.conv2d_forward(dy, kept_w, None, stride, sides, dilation, groups, dx_way)[:, :, :h, :w]
        if kept_x is not None:
            dw = _core.conv2d_backward_weight(dy, kept_x, w_shape, stride, sides, dilation, groups, dw_way)
        return dx, dw, _sum_pixels(dy) if need[2] else None

    return y, backward


@op(shape=_shape, run=_run)
def conv_transpose2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Normal:
    """2-D transposed convolution ("deconvolution"): every pixel of x adds a filter, scaled by it, to y.

    y[n, k, i * stride + u * dilation - padding, ...] += x[n, c, i, j] * weight[c, k, u, v], on top of bias[k]: the
    gradient of conv2d with respect to its input, and computed as that (Dumoulin and Visin 2016, arXiv 1603.07285).

    Args:
        x: (N, C, H, W); channels last in memory is read in place.
        weight: (C, K / groups, kh, kw).
        bias: (K) or None (default).
        stride: pixels of y from one pixel of x to the next, int or (vertical, horizontal), at least 1. Default 1.
        padding: pixels cut off each side of y, int or (vertical, horizontal). Default 0.
        output_padding: more pixels at the bottom and right of y, int or (vertical, horizontal), less than stride or
            dilation. Default 0.
        groups: C and K are cut into so many groups that do not see each other. Default 1.
        dilation: pixels of y from one tap to the next, int or (vertical, horizontal), at least 1. Default 1.

    Returns (N, K, OH, OW), channels last in memory,
    OH = (H - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1.
    Raises ValueError when shapes do not match or OH or OW is less than 1.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.conv_transpose2d(np.array([[[[1.0, 2.0]]]]), np.ones((1, 1, 2, 2)), stride=2)[0, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]], dtype=float32)
    """
    name = "conv_transpose2d"
    step, spread = pair(stride, name, "stride"), pair(dilation, name, "dilation")
    more = pair(output_padding, name, "output_padding", minimum=0)
    check_output_padding(name, step, more, spread)
    arrays = (
        as_float32(x, name, "x"),
        as_float32(weight, name, "weight"),
        None if bias is None else as_float32(bias, name, "bias"),
    )
    return arrays, {
        "stride": step,
        "padding": pair(padding, name, "padding", minimum=0),
        "output_padding": more,
        "groups": positive_int(groups, name, "groups"),
        "dilation": spread,
        **pinned_algorithm(),
    }
