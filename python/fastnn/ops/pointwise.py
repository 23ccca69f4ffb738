"""Functions of one array, element by element; the result has the memory layout of x."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.arrays import FloatArray, as_float32
from fastnn.op import op
from fastnn.ops.broadcast import operand, pointwise, pointwise_backward
from fastnn.tape import Backward

Result = tuple[FloatArray, Backward]


@op
def neg(x: Any, *, need: list[bool]) -> Result:
    """-x.

    >>> import fastnn as fnn
    >>> fnn.ops.neg([1.0, -2.0])
    array([-1.,  2.], dtype=float32)
    """
    return pointwise(np.negative, "neg", as_float32(x, "neg", "x")), lambda dy: (pointwise_backward(np.negative, dy),)


@op
def exp(x: Any, *, need: list[bool]) -> Result:
    """e to the power of x; inf above 88.7 (float32), without a warning.

    >>> import fastnn as fnn
    >>> fnn.ops.exp([0.0, 100.0])
    array([ 1., inf], dtype=float32)
    """
    y = pointwise(np.exp, "exp", as_float32(x, "exp", "x"))
    return y, lambda dy: (pointwise_backward(np.multiply, dy, y),)


@op
def log(x: Any, *, need: list[bool]) -> Result:
    """Natural logarithm; -inf at 0 and nan below, without a warning.

    >>> import fastnn as fnn
    >>> fnn.ops.log([1.0, 0.0])
    array([  0., -inf], dtype=float32)
    """
    x = as_float32(x, "log", "x")
    y = pointwise(np.log, "log", x)
    return y, lambda dy: (pointwise_backward(np.divide, dy, x),)


@op
def sqrt(x: Any, *, need: list[bool]) -> Result:
    """Square root; nan below 0, without a warning. The gradient at 0 is infinite.

    >>> import fastnn as fnn
    >>> fnn.ops.sqrt([4.0, 9.0])
    array([2., 3.], dtype=float32)
    """
    y = pointwise(np.sqrt, "sqrt", as_float32(x, "sqrt", "x"))
    return y, lambda dy: (pointwise_backward(np.divide, dy, y * np.float32(2)),)


@op
def abs(x: Any, *, need: list[bool]) -> Result:
    """Absolute value; the gradient at 0 is 0.

    >>> import fastnn as fnn
    >>> fnn.ops.abs([1.0, -2.0])
    array([1., 2.], dtype=float32)
    """
    x = as_float32(x, "abs", "x")
    return pointwise(np.absolute, "abs", x), lambda dy: (pointwise_backward(np.multiply, dy, np.sign(x)),)


@op
def clamp(x: Any, min: float | None = None, max: float | None = None, *, need: list[bool]) -> Result:
    """x, but nowhere below min nor above max (numbers, or None for no bound); nan stays nan.

    The gradient passes where min <= x <= max. Raises ValueError when both bounds are None.

    >>> import fastnn as fnn
    >>> fnn.ops.clamp([-1.0, 0.5, 2.0], 0, 1)
    array([0. , 0.5, 1. ], dtype=float32)
    """
    if min is None and max is None:
        raise ValueError("clamp: min and max are both None, expected at least one number")
    x = as_float32(x, "clamp", "x")
    low = operand(-np.inf if min is None else min, "clamp", "min")
    high = operand(np.inf if max is None else max, "clamp", "max")
    bound = pointwise if low.ndim or high.ndim else lambda f, _, *a: pointwise_backward(f, *a)  # neither of them warns
    y = bound(np.minimum, "clamp", bound(np.maximum, "clamp", x, low), high)
    if y.shape != x.shape:
        raise ValueError(f"clamp: min {low.shape} and max {high.shape} do not fit x of shape {x.shape}")
    return y, lambda dy: (pointwise_backward(np.multiply, dy, ((x >= low) & (x <= high)).astype(np.float32)),)
