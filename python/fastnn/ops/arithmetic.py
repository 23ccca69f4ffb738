"""Arithmetic of two operands, arrays or numbers that broadcast together as NumPy's do. Of one dtype, as torch promotes
them: integer Tensors stay int64, where overflow wraps around, and what meets a float is float32. Arrays alone are
float32, of integers too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_numbers
from fastnn.ops.broadcast import no_bool, operand, operands, pointwise, pointwise_backward, sum_to
from fastnn.ops.checks import broadcast, kept
from fastnn.ops.join import numbers
from fastnn.ops.op import Normal, op
from fastnn.tape import Backward

_FLOAT32 = np.dtype(np.float32)

Need = Sequence[bool]
Result = tuple[FloatArray, Backward]


def _binary(sign: str, ufunc: np.ufunc, x: FloatArray, y: FloatArray) -> FloatArray:
    """x sign y; where both are small and need no broadcasting, without NumPy's way around its warnings."""
    z: FloatArray | None = _core.arithmetic(sign, x, y)
    return pointwise(ufunc, x, y) if z is None else z


def _add_run(x: FloatArray, y: FloatArray, *, need: Need) -> Result:
    x_shape, y_shape = x.shape, y.shape

    def backward(dz: FloatArray) -> tuple[FloatArray | None, ...]:
        return sum_to(dz, x_shape) if need[0] else None, sum_to(dz, y_shape) if need[1] else None

    return _binary("+", np.add, x, y), backward


@op(shape=partial(broadcast, "add"), run=_add_run, outputs=kept, unread=("x", "y"), floats=2)
def add(x: Any, y: Any) -> Normal:
    """x + y, shapes broadcast as in NumPy. Raises ValueError when they do not, TypeError unless both are real numbers.

    float32; of Tensors of integers int64, of bool bool (or). Arrays of integers, with no Tensor, are float32.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.add(np.ones((2, 1)), [1, 2])
    array([[2., 3.],
           [2., 3.]], dtype=float32)
    """
    return operands(x, y, "add"), {}


def _sub_run(x: FloatArray, y: FloatArray, *, need: Need) -> Result:
    x_shape, y_shape = x.shape, y.shape

    def backward(dz: FloatArray) -> tuple[FloatArray | None, ...]:
        return sum_to(dz, x_shape) if need[0] else None, np.negative(sum_to(dz, y_shape)) if need[1] else None

    return _binary("-", np.subtract, x, y), backward


@op(shape=partial(broadcast, "sub"), run=_sub_run, outputs=kept, unread=("x", "y"), floats=2)
def sub(x: Any, y: Any) -> Normal:
    """x - y, as add; not of bool, TypeError.

    >>> import fastnn as fnn
    >>> fnn.ops.sub(2, [1.0, 2.0])
    array([1., 0.], dtype=float32)
    """
    both = operands(x, y, "sub")
    if both[0].dtype is not _FLOAT32 and both[0].dtype.kind != "f":
        no_bool("sub", "~mask, or x ^ y", *[np.asarray(part) for part in (x, y)])
    return both, {}


def _mul_run(x: FloatArray, y: FloatArray, *, need: Need) -> Result:
    x_shape, y_shape = x.shape, y.shape
    kept_x, kept_y = x if need[1] else None, y if need[0] else None

    def backward(dz: FloatArray) -> tuple[FloatArray | None, ...]:
        dx = None if kept_y is None else sum_to(pointwise_backward(np.multiply, dz, kept_y), x_shape)
        dy = None if kept_x is None else sum_to(pointwise_backward(np.multiply, dz, kept_x), y_shape)
        return dx, dy

    return _binary("*", np.multiply, x, y), backward


@op(shape=partial(broadcast, "mul"), run=_mul_run, outputs=kept, floats=2)
def mul(x: Any, y: Any) -> Normal:
    """x * y, element by element, as add.

    >>> import fastnn as fnn
    >>> fnn.ops.mul([1.0, 2.0], 3)
    array([3., 6.], dtype=float32)
    """
    return operands(x, y, "mul"), {}


def _div_run(x: FloatArray, y: FloatArray, *, need: Need) -> Result:
    x_shape, y_shape = x.shape, y.shape
    z = _binary("/", np.divide, x, y)
    kept_z = z if need[1] else None

    def backward(dz: FloatArray) -> tuple[FloatArray | None, ...]:
        dx = pointwise_backward(np.divide, dz, y)
        dy = None if kept_z is None else np.negative(sum_to(pointwise_backward(np.multiply, dx, kept_z), y_shape))
        return sum_to(dx, x_shape) if need[0] else None, dy

    return z, backward


@op(shape=partial(broadcast, "div"), run=_div_run)
def div(x: Any, y: Any) -> Normal:
    """x / y, element by element, always float32; x / 0 is inf or nan, as IEEE 754 has it, without a warning.

    >>> import fastnn as fnn
    >>> fnn.ops.div(1, [2.0, 0.0])
    array([0.5, inf], dtype=float32)
    """
    return (operand(x, "div", "x"), operand(y, "div", "y")), {}


def _pow_run(x: FloatArray, p: FloatArray, *, need: Need) -> Result:
    if p.dtype is not _FLOAT32 and p.dtype.kind == "i" and (p < 0).any():
        raise ValueError("pow: integers to negative powers are no integers; write x.float() ** y")
    z = _binary("*", np.multiply, x, x) if p.ndim == 0 and p == 2 else pointwise(np.power, x, p)
    kept_z = z if need[1] else None

    def backward(dz: FloatArray) -> tuple[FloatArray | None, ...]:
        dx = dp = None
        if need[0]:
            slope = x if p.ndim == 0 and p == 2 else np.where(p == 0, np.float32(0), np.power(x, p - np.float32(1)))
            dx = sum_to(dz * (p * slope), x.shape)
        if kept_z is not None:
            dp = sum_to(dz * np.where((x == 0) & (p >= 0), np.float32(0), kept_z * np.log(x)), p.shape)
        return dx, dp

    return z, backward


@op(shape=partial(broadcast, "pow"), run=_pow_run, outputs=kept, floats=2)
def pow(x: Any, exponent: Any) -> Normal:
    """x ** exponent, element by element, as add; a negative x with a fractional exponent gives nan. Raises ValueError
    for integers to negative integers.

    The gradient of the exponent is x ** exponent * log(x), and 0 where x is 0 and the exponent is not negative.

    >>> import fastnn as fnn
    >>> fnn.ops.pow([1.0, 2.0, 3.0], 2)
    array([1., 4., 9.], dtype=float32)
    """
    both = operands(x, exponent, "pow", ("x", "exponent"))
    if both[0].dtype is not _FLOAT32:
        no_bool("pow", "x & y", both[0])
    return both, {}


def _choose(ufunc: np.ufunc) -> Callable[..., Result]:
    """maximum or minimum; where both are equal, each gets half of the gradient."""

    def run(x: FloatArray, y: FloatArray, *, need: Need) -> Result:
        z = pointwise(ufunc, x, y)

        def backward(dz: FloatArray) -> tuple[FloatArray | None, ...]:
            def share(a: FloatArray, b: FloatArray) -> FloatArray:
                return sum_to(np.where(a == b, dz / np.float32(2), np.where(b == z, np.float32(0), dz)), a.shape)

            return share(x, y) if need[0] else None, share(y, x) if need[1] else None

        return z, backward

    return run


@op(shape=partial(broadcast, "maximum"), run=_choose(np.maximum), outputs=kept, floats=2)
def maximum(x: Any, y: Any) -> Normal:
    """The larger of x and y, element by element, as add; nan where either is. Equal elements share the gradient.

    >>> import fastnn as fnn
    >>> fnn.ops.maximum([-1.0, 2.0], 0)
    array([0., 2.], dtype=float32)
    """
    return operands(x, y, "maximum"), {}


@op(shape=partial(broadcast, "minimum"), run=_choose(np.minimum), outputs=kept, floats=2)
def minimum(x: Any, y: Any) -> Normal:
    """The smaller of x and y, element by element, as add; nan where either is. Equal elements share the gradient.

    >>> import fastnn as fnn
    >>> fnn.ops.minimum([-1.0, 2.0], 0)
    array([-1.,  0.], dtype=float32)
    """
    return operands(x, y, "minimum"), {}


def _where_run(holds: Any, x: FloatArray, y: FloatArray, *, need: Need) -> Result:
    x_shape, y_shape = x.shape, y.shape
    if need[1] or need[2]:
        holds = holds.copy()  # the gradient reads it

    def backward(dz: FloatArray) -> tuple[FloatArray | None, ...]:
        zero = np.float32(0)
        dx = sum_to(np.where(holds, dz, zero), x_shape) if need[1] else None
        dy = sum_to(np.where(holds, zero, dz), y_shape) if need[2] else None
        return None, dx, dy

    return np.where(holds, x, y), backward


@op(
    shape=partial(broadcast, "where"),
    run=_where_run,
    outputs=lambda condition, x, y: np.result_type(x, y),
)
def where(condition: Any, x: Any, y: Any) -> Normal:
    """x where condition holds, else y; all three broadcast.

    Args:
        condition: bool array, such as a comparison gives. Raises TypeError for any other dtype.
        x, y: arrays or numbers.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.where(np.array([True, False]), [1.0, 2.0], 0)
    array([1., 0.], dtype=float32)
    """
    holds = as_numbers(condition, "where", "condition")
    if holds.dtype != np.bool_:
        raise TypeError(f"where: condition has dtype {holds.dtype}, expected bool")
    return (holds, *numbers((x, y), "where", ("x", "y"))), {}
