from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32
from fastnn.op import op_not_reading
from fastnn.tape import Backward


def check_reduction(reduction: str, op: str) -> str:
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{op}: reduction is {reduction!r}, expected 'none', 'mean' or 'sum'")
    return reduction


def scaled(gradient: FloatArray, dy: FloatArray) -> FloatArray:
    """``gradient`` times the gradient of the loss, in place; dy is mostly the 1 that backward() starts with."""
    if dy.ndim == 0 and dy == 1:
        return gradient
    return np.multiply(gradient, dy, out=gradient)


@op_not_reading("input", "target")
def mse_loss(input: Any, target: Any, reduction: str = "mean", *, need: list[bool]) -> tuple[FloatArray, Backward]:
    """(input - target)², averaged, added up, or as it is.

    Args:
        input, target: any one shape; nothing is broadcast.
        reduction: "mean" (default, over all elements), "sum" or "none".

    Returns a 0-d array, or with "none" the shape of input. Squares and sums are float64. Raises ValueError when the
    shapes differ or the reduction is unknown, TypeError for complex, object and string input.

    >>> import fastnn as fnn
    >>> fnn.ops.mse_loss([1.0, 2.0], [1.0, 4.0])
    array(2., dtype=float32)
    """
    check_reduction(reduction, "mse_loss")
    x = as_float32(input, "mse_loss", "input")
    t = as_float32(target, "mse_loss", "target")
    if x.shape != t.shape:
        raise ValueError(f"mse_loss: input has shape {x.shape} but target has {t.shape}")
    scale = 1.0 if reduction != "mean" else 1 / x.size if x.size else np.nan
    x, t = np.require(x, requirements="C"), np.require(t, requirements="C")
    loss, gradient = _core.mse_loss(x, t, scale, reduction == "none", need[0] or need[1])

    def backward(dy: FloatArray) -> tuple[FloatArray | None, FloatArray | None]:
        assert gradient is not None
        dx = scaled(gradient, dy)
        return (dx if need[0] else None), (-dx if need[1] else None)

    return loss, backward
