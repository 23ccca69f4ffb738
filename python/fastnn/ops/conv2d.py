from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32, channels_last, image, pair, positive_int, require_ndim
from fastnn.op import op
from fastnn.runtime.settings import wanted_algorithm
from fastnn.tape import Backward

Sides = tuple[int, int, int, int]


def padding_sides(padding: Any, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]) -> Sides:
    """(top, bottom, left, right) from an int, a pair, "valid" or "same"."""
    if padding == "valid":
        return 0, 0, 0, 0
    if padding == "same":
        if stride != (1, 1):
            raise ValueError(f"conv2d: padding 'same' needs stride 1, not {stride}")
        high, wide = dilation[0] * (kernel[0] - 1), dilation[1] * (kernel[1] - 1)
        return high // 2, high - high // 2, wide // 2, wide - wide // 2
    if isinstance(padding, str):
        raise ValueError(f"conv2d: padding is {padding!r}, expected 'same', 'valid', an integer or two")
    h, w = pair(padding, "conv2d", "padding", minimum=0)
    return h, h, w, w


def check_conv2d(x: FloatArray, weight: FloatArray, bias: FloatArray | None, groups: int) -> None:
    require_ndim(x, 4, "(N, C, H, W)", "conv2d", "x")
    require_ndim(weight, 4, "(out_channels, in_channels / groups, kernel height, kernel width)", "conv2d", "weight")
    if x.shape[1] != weight.shape[1] * groups:
        raise ValueError(
            f"conv2d: x {x.shape} has {x.shape[1]} channels but weight {weight.shape} with groups={groups} "
            f"expects {weight.shape[1] * groups}"
        )
    if weight.shape[0] % groups:
        raise ValueError(
            f"conv2d: weight {weight.shape} has {weight.shape[0]} filters, not a multiple of groups={groups}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"conv2d: bias has shape {bias.shape} but weight {weight.shape} expects {weight.shape[:1]}")


@op
def conv2d(
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
    groups = positive_int(groups, "conv2d", "groups")
    x = as_float32(x, "conv2d", "x")
    weight = np.ascontiguousarray(as_float32(weight, "conv2d", "weight"))
    if bias is not None:
        bias = np.ascontiguousarray(as_float32(bias, "conv2d", "bias"))
    check_conv2d(x, weight, bias, groups)
    step, spread = pair(stride, "conv2d", "stride"), pair(dilation, "conv2d", "dilation")
    sides = padding_sides(padding, (weight.shape[2], weight.shape[3]), step, spread)
    for size, taps, apart, before, after, axis in (
        (x.shape[2], weight.shape[2], spread[0], sides[0], sides[1], "height"),
        (x.shape[3], weight.shape[3], spread[1], sides[2], sides[3], "width"),
    ):
        if taps < 1 or apart * (taps - 1) + 1 > size + before + after:
            raise ValueError(
                f"conv2d: weight {weight.shape} with dilation {apart} does not fit the {axis} of x {x.shape} "
                f"padded to {size + before + after}"
            )
    x = image(x)
    y = _core.conv2d_forward(x, weight, bias, step, sides, spread, groups, wanted_algorithm())
    x_shape, w_shape, kept_x, kept_w = x.shape, weight.shape, x if need[1] else None, weight if need[0] else None

    def backward(dy: FloatArray) -> tuple[FloatArray | None, ...]:
        dy, dx, dw = channels_last(dy), None, None
        if kept_w is not None:
            dx = _core.conv2d_backward_input(dy, kept_w, x_shape, step, sides, spread, groups, wanted_algorithm())
        if kept_x is not None:
            dw = _core.conv2d_backward_weight(kept_x, dy, w_shape, step, sides, spread, groups, wanted_algorithm())
        pixels = dy.transpose(0, 2, 3, 1).reshape(dy.size // dy.shape[1] if dy.size else 0, dy.shape[1])
        db = _core.sum_rows(pixels) if need[2] else None
        return dx, dw, db

    return y, backward
