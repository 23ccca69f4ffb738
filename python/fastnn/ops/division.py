"""Division with a remainder: the quotient is rounded down, as in Python."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from fastnn.arrays import FloatArray
from fastnn.ops.broadcast import no_bool, operands, pointwise, sum_to
from fastnn.ops.checks import broadcast, kept
from fastnn.ops.op import Normal, op
from fastnn.tape import Backward

Need = Sequence[bool]


def _check_divisor(op: str, y: Any) -> None:
    if y.dtype.kind != "f" and not y.all():
        raise ZeroDivisionError(f"{op}: y holds 0, and integers have no infinity; write x / y for float32")


def _floor_divide_run(x: FloatArray, y: FloatArray, *, need: Need) -> tuple[FloatArray, None]:
    if need[0] or need[1]:
        raise TypeError("floor_divide: a quotient that is rounded has no gradient; write x.detach() // y")
    _check_divisor("floor_divide", y)
    return pointwise(np.floor_divide, x, y), None


@op(shape=partial(broadcast, "floor_divide"), run=_floor_divide_run, outputs=kept, floats=2)
def floor_divide(x: Any, y: Any) -> Normal:
    """x // y, rounded down, of the dtype of x + y; no gradient, and TypeError where one is wanted.

    Of integers, raises ZeroDivisionError where y is 0; of floats, that is inf or nan. TypeError for bool.

    >>> import fastnn as fnn
    >>> fnn.tensor([7, -7]) // 2
    Tensor([ 3, -4])
    """
    both = operands(x, y, "floor_divide")
    no_bool("floor_divide", "x.long() // y", both[0])
    return both, {}


def _remainder_run(x: FloatArray, y: FloatArray, *, need: Need) -> tuple[FloatArray, Backward]:
    _check_divisor("remainder", y)
    x_shape, y_shape = x.shape, y.shape
    quotient = pointwise(np.floor_divide, x, y) if need[1] else None

    def backward(dz: FloatArray) -> tuple[FloatArray | None, ...]:
        dy = None if quotient is None else np.negative(sum_to(dz * quotient, y_shape))
        return sum_to(dz, x_shape) if need[0] else None, dy

    return pointwise(np.remainder, x, y), backward


@op(shape=partial(broadcast, "remainder"), run=_remainder_run, outputs=kept, floats=2)
def remainder(x: Any, y: Any) -> Normal:
    """x % y, of the sign of y: x - y * (x // y). Errors as floor_divide; the gradient of x is 1.

    >>> import fastnn as fnn
    >>> fnn.tensor([7, -7]) % 3
    Tensor([1, 2])
    """
    both = operands(x, y, "remainder")
    no_bool("remainder", "x.long() % y", both[0])
    return both, {}
