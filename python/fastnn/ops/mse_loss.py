from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32
from fastnn.ops.checks import check_reduction, scaled
from fastnn.ops.op import Shape, op
from fastnn.tape import Backward


def _shape(input: Shape, target: Shape, *, reduction: str) -> Shape:
    if input != target:
        raise ValueError(f"mse_loss: input has shape {input} but target has {target}")
    return input if reduction == "none" else ()


def _run(input: FloatArray, target: FloatArray, *, need: Sequence[bool], reduction: str) -> tuple[FloatArray, Backward]:
    x, t = np.require(input, requirements="C"), np.require(target, requirements="C")
    scale = 1.0 if reduction != "mean" else 1 / x.size if x.size else np.nan
    of_input, of_target = need[:2]
    loss, gradient = _core.mse_loss(x, t, scale, reduction == "none", of_input or of_target)

    def backward(dy: FloatArray) -> tuple[FloatArray | None, FloatArray | None]:
        assert gradient is not None
        dx = scaled(gradient, dy)
        return (dx if of_input else None), (-dx if of_target else None)

    return loss, backward


@op(shape=_shape, run=_run, unread=("input", "target"))
def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
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
    arrays = as_float32(input, "mse_loss", "input"), as_float32(target, "mse_loss", "target")
    return arrays, {"reduction": check_reduction(reduction, "mse_loss")}
