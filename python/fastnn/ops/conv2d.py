from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32, channels_last, image, laid_out, layout_of, pair, positive_int
from fastnn.ops.checks import Sides, Sizes, padding_sides, require_axes
from fastnn.ops.op import Normal, Shape, op
from fastnn.runtime.settings import pinned_algorithm
from fastnn.tape import Backward

Pair = tuple[int, int]
# The name of one for all directions, or of each: output, gradient of x, gradient of weight. None: the best.
Algorithm = str | tuple[str | None, str | None, str | None] | None


def check_channels(name: str, x: Shape, weight: Shape, bias: Shape | None, groups: int) -> None:
    """x (N, C, ...), weight (K, C / groups, ...), bias (K)."""
    if x[1] != weight[1] * groups:
        raise ValueError(
            f"{name}: x {x} has {x[1]} channels but weight {weight} with groups={groups} expects {weight[1] * groups}"
        )
    if weight[0] % groups:
        raise ValueError(f"{name}: weight {weight} has {weight[0]} filters, not a multiple of groups={groups}")
    if bias is not None and bias != weight[:1]:
        raise ValueError(f"{name}: bias has shape {bias} but weight {weight} expects {weight[:1]}")


def check_residual(name: str, residual: Shape | None, y: Shape) -> None:
    if residual is not None and residual != y:
        raise ValueError(f"{name}: residual has shape {residual}, expected that of the output, {y}")


def positions(name: str, x: Shape, weight: Shape, stride: Sizes, padding: Sizes, dilation: Sizes) -> Shape:
    """Where the filters of ``weight`` fit, along each axis after the channels; raises where they fit nowhere."""
    counts = []
    for i, (step, apart) in enumerate(zip(stride, dilation, strict=True)):
        taps, size = weight[2 + i], x[2 + i] + padding[2 * i] + padding[2 * i + 1]
        room = size - apart * (taps - 1) - 1
        if taps < 1 or room < 0:
            axis = ("height", "width")[i] if len(stride) == 2 else "length"
            raise ValueError(
                f"{name}: weight {weight} with dilation {apart} does not fit the {axis} of x {x} padded to {size}"
            )
        counts.append(room // step + 1)
    return tuple(counts)


def _shape(
    x: Shape,
    weight: Shape,
    bias: Shape | None,
    residual: Shape | None = None,
    *,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    groups: int,
    algorithm: Algorithm = None,
    relu: bool = False,
) -> Shape:
    require_axes(x, 4, "(N, C, H, W)", "conv2d", "x")
    require_axes(weight, 4, "(out_channels, in_channels / groups, kernel height, kernel width)", "conv2d", "weight")
    check_channels("conv2d", x, weight, bias, groups)
    y = x[0], weight[0], *positions("conv2d", x, weight, stride, padding, dilation)
    check_residual("conv2d", residual, y)
    return y


def _run(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None,
    residual: FloatArray | None = None,
    *,
    need: Sequence[bool],
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    groups: int,
    algorithm: Algorithm = None,
    relu: bool = False,
) -> tuple[FloatArray, Backward]:
    """``residual``, which is added to the output, and ``relu`` of that are for graphs: fnn.rewrite writes them."""
    x, weight = image(x), np.ascontiguousarray(weight)
    bias = None if bias is None else np.ascontiguousarray(bias)
    way, dx_way, dw_way = algorithm if isinstance(algorithm, tuple) else (algorithm, algorithm, algorithm)
    if residual is None and not relu:
        y = _core.conv2d_forward(x, weight, bias, stride, padding, dilation, groups, way)
    else:
        more = None if residual is None else channels_last(residual)
        y = _core.conv2d_forward(x, weight, bias, stride, padding, dilation, groups, way, more, relu)
    signs = y if relu else None
    x_shape, w_shape, kept_x, kept_w = x.shape, weight.shape, x if need[1] else None, weight if need[0] else None

    def backward(dy: FloatArray) -> tuple[FloatArray | None, ...]:
        dy, dx, dw = channels_last(dy), None, None
        if signs is not None:
            dy = _core.activation_backward("relu", signs, laid_out(dy, layout_of(signs)))
        if kept_w is not None:
            dx = _core.conv2d_backward_input(dy, kept_w, x_shape, stride, padding, dilation, groups, dx_way)
        if kept_x is not None:
            dw = _core.conv2d_backward_weight(kept_x, dy, w_shape, stride, padding, dilation, groups, dw_way)
        pixels = dy.transpose(0, 2, 3, 1).reshape(dy.size // dy.shape[1] if dy.size else 0, dy.shape[1])
        db = _core.sum_rows(pixels) if need[2] else None
        return (dx, dw, db) if len(need) < 4 else (dx, dw, db, dy if need[3] else None)

    return y, backward


@op(shape=_shape, run=_run)
def conv2d(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Normal:
    """2-D cross-correlation of an image with a bank of filters (the "convolution" of CNNs).

    y[n, k, i, j] = bias[k] + sum over c, u, v of x[n, c, i * stride + u * dilation - padding, ...] * weight[k, c, u, v]

    Args:
        x: (N, C, H, W); C-contiguous or channels last in memory is read in place.
        weight: (K, C / groups, kh, kw).
        bias: (K) or None (default).
        stride, dilation: pixels, int or (vertical, horizontal), at least 1. Default 1.
        padding: pixels of zeros on each side, int or (vertical, horizontal); "valid" is 0, "same" keeps H and W
            (stride 1 only; the odd pixel goes to the bottom and right). Default 0.
        groups: C and K are cut into so many groups that do not see each other; groups = C is depthwise. Default 1.

    Returns (N, K, OH, OW), channels last in memory, OH = (H + 2 padding - dilation (kh - 1) - 1) // stride + 1.
    Raises ValueError when shapes do not match or the kernel is larger than the padded image.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)))[0, 0]
    array([[4., 4.],
           [4., 4.]], dtype=float32)
    """
    x, weight = as_float32(x, "conv2d", "x"), as_float32(weight, "conv2d", "weight")
    step, spread = pair(stride, "conv2d", "stride"), pair(dilation, "conv2d", "dilation")
    kernel = weight.shape[2:] if weight.ndim == 4 else (1, 1)  # what has no kernel is refused by its shape
    return (x, weight, None if bias is None else as_float32(bias, "conv2d", "bias")), {
        "stride": step,
        "padding": padding_sides(padding, kernel, step, spread),
        "dilation": spread,
        "groups": positive_int(groups, "conv2d", "groups"),
        **pinned_algorithm(),
    }
