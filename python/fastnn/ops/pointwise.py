"""Functions of one array, element by element, that NumPy computes; the result has the memory layout of x."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.arrays import FloatArray, as_float32, as_value
from fastnn.dtypes import float32, promoted
from fastnn.ops.broadcast import no_bool, operand, pointwise, pointwise_backward, whole
from fastnn.ops.checks import broadcast, kept
from fastnn.ops.elementwise import elementwise
from fastnn.ops.op import Normal, Shape, op
from fastnn.tape import Backward

Need = Sequence[bool]
Result = tuple[FloatArray, Backward]


def _neg_run(x: FloatArray, *, need: Need) -> Result:
    return pointwise(np.negative, x), lambda dy: (pointwise_backward(np.negative, dy),)


@elementwise(run=_neg_run, outputs=kept, floats=1)
def neg(x: Any) -> Normal:
    """-x; not of bool, TypeError.

    >>> import fastnn as fnn
    >>> fnn.ops.neg([1.0, -2.0])
    array([-1.,  2.], dtype=float32)
    """
    x = as_value(x, "neg", "x")
    if x.dtype is not float32:
        no_bool("neg", "~mask", x)
    return (x,), {}


def _exp_run(x: FloatArray, *, need: Need) -> Result:
    y = pointwise(np.exp, x)
    return y, lambda dy: (pointwise_backward(np.multiply, dy, y),)


@elementwise(run=_exp_run)
def exp(x: Any) -> Normal:
    """e to the power of x; inf above 88.7 (float32), without a warning.

    >>> import fastnn as fnn
    >>> fnn.ops.exp([0.0, 100.0])
    array([ 1., inf], dtype=float32)
    """
    return (as_float32(x, "exp", "x"),), {}


def _log_run(x: FloatArray, *, need: Need) -> Result:
    return pointwise(np.log, x), lambda dy: (pointwise_backward(np.divide, dy, x),)


@elementwise(run=_log_run)
def log(x: Any) -> Normal:
    """Natural logarithm; -inf at 0 and nan below, without a warning.

    >>> import fastnn as fnn
    >>> fnn.ops.log([1.0, 0.0])
    array([  0., -inf], dtype=float32)
    """
    return (as_float32(x, "log", "x"),), {}


def _sqrt_run(x: FloatArray, *, need: Need) -> Result:
    y = pointwise(np.sqrt, x)
    return y, lambda dy: (pointwise_backward(np.divide, dy, y * np.float32(2)),)


@elementwise(run=_sqrt_run)
def sqrt(x: Any) -> Normal:
    """Square root; nan below 0, without a warning. The gradient at 0 is infinite.

    >>> import fastnn as fnn
    >>> fnn.ops.sqrt([4.0, 9.0])
    array([2., 3.], dtype=float32)
    """
    return (as_float32(x, "sqrt", "x"),), {}


def _abs_run(x: FloatArray, *, need: Need) -> Result:
    return pointwise(np.absolute, x), lambda dy: (pointwise_backward(np.multiply, dy, np.sign(x)),)


@elementwise(run=_abs_run, outputs=kept, floats=1)
def abs(x: Any) -> Normal:
    """Absolute value; the gradient at 0 is 0. Not of bool, TypeError.

    >>> import fastnn as fnn
    >>> fnn.ops.abs([1.0, -2.0])
    array([1., 2.], dtype=float32)
    """
    x = as_value(x, "abs", "x")
    if x.dtype is not float32:
        no_bool("abs", "mask.long()", x)
    return (x,), {}


_FLOAT32 = np.float32(-np.inf), np.float32(np.inf)
_INT64 = np.int64(np.iinfo(np.int64).min), np.int64(np.iinfo(np.int64).max)


def _clamp_shape(x: Shape, low: Shape | None, high: Shape | None) -> Shape:
    if broadcast("clamp", x, low or (), high or ()) != x:
        raise ValueError(f"clamp: min {low or ()} and max {high or ()} do not fit x of shape {x}")
    return x


def _clamp_run(x: FloatArray, min: FloatArray | None, max: FloatArray | None, *, need: Need) -> Result:
    least, most = _FLOAT32 if x.dtype is float32 or x.dtype.kind == "f" else _INT64
    low: Any = least if min is None else min
    high: Any = most if max is None else max
    bound = pointwise if low.ndim or high.ndim else pointwise_backward  # numbers give no warning
    y = bound(np.minimum, bound(np.maximum, x, low), high)
    if y.shape != x.shape:
        raise ValueError("clamp: bounds larger than x")

    def backward(dy: FloatArray) -> tuple[FloatArray]:
        return (pointwise_backward(np.multiply, dy, ((x >= low) & (x <= high)).astype(np.float32)),)

    return y, backward


@op(shape=_clamp_shape, run=_clamp_run, outputs=kept, floats=3)
def clamp(x: Any, min: Any = None, max: Any = None) -> Normal:
    """x, but nowhere below min nor above max (numbers, or None for no bound); nan stays nan. Of Tensors of
    integers int64.

    The gradient passes where min <= x <= max. Raises ValueError when both bounds are None.

    >>> import fastnn as fnn
    >>> fnn.ops.clamp([-1.0, 0.5, 2.0], 0, 1)
    array([0. , 0.5, 1. ], dtype=float32)
    """
    if min is None and max is None:
        raise ValueError("clamp: min and max are both None, expected at least one number")
    x = as_value(x, "clamp", "x")
    if x.dtype is not float32 and x.dtype.kind != "f":
        given = [as_value(bound, "clamp", "min").dtype for bound in (min, max) if bound is not None]
        dtype = promoted(promoted(x.dtype, given[0]), given[-1])
        if dtype.kind != "f":
            low, high = [None if b is None else whole(b, dtype, "clamp", "bound") for b in (min, max)]
            return (whole(x, dtype, "clamp", "x"), low, high), {}
        x = as_float32(x, "clamp", "x")
    low = None if min is None else operand(min, "clamp", "min")
    return (x, low, None if max is None else operand(max, "clamp", "max")), {}
