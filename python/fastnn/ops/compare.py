"""Comparisons of two operands, which broadcast together: bool, and without a gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.ops.broadcast import operands
from fastnn.ops.checks import broadcast
from fastnn.ops.op import Normal, op

BoolArray = npt.NDArray[np.bool_]


def run_of(ufunc: np.ufunc) -> Callable[..., tuple[BoolArray, None]]:
    """What gives bool by a function of NumPy, element by element."""

    def run(*arrays: Any, need: Sequence[bool]) -> tuple[BoolArray, None]:
        return np.asarray(ufunc(*arrays)), None

    return run


@op(shape=partial(broadcast, "eq"), run=run_of(np.equal), outputs="bool")
def eq(x: Any, y: Any) -> Normal:
    """x == y, element by element, as bool; integers and floats are compared as float32, as torch does. No gradient.

    Raises ValueError when the shapes do not broadcast, TypeError unless both are real numbers.

    >>> import fastnn as fnn
    >>> fnn.ops.eq([1, 2], 2)
    array([False,  True])
    """
    return operands(x, y, "eq"), {}


@op(shape=partial(broadcast, "ge"), run=run_of(np.greater_equal), outputs="bool")
def ge(x: Any, y: Any) -> Normal:
    """x >= y, as eq.

    >>> import fastnn as fnn
    >>> fnn.ops.ge(fnn.tensor([1, 2, 3]), 2)
    Tensor([False,  True,  True])
    """
    return operands(x, y, "ge"), {}


@op(shape=partial(broadcast, "gt"), run=run_of(np.greater), outputs="bool")
def gt(x: Any, y: Any) -> Normal:
    """x > y, as eq.

    >>> import fastnn as fnn
    >>> fnn.ops.gt([1, 2, 3], 2)
    array([False, False,  True])
    """
    return operands(x, y, "gt"), {}


@op(shape=partial(broadcast, "le"), run=run_of(np.less_equal), outputs="bool")
def le(x: Any, y: Any) -> Normal:
    """x <= y, as eq.

    >>> import fastnn as fnn
    >>> fnn.ops.le([1, 2, 3], 2)
    array([ True,  True, False])
    """
    return operands(x, y, "le"), {}


@op(shape=partial(broadcast, "lt"), run=run_of(np.less), outputs="bool")
def lt(x: Any, y: Any) -> Normal:
    """x < y, as eq.

    >>> import fastnn as fnn
    >>> fnn.ops.lt([1, 2, 3], 2)
    array([ True, False, False])
    """
    return operands(x, y, "lt"), {}


@op(shape=partial(broadcast, "ne"), run=run_of(np.not_equal), outputs="bool")
def ne(x: Any, y: Any) -> Normal:
    """x != y, as eq.

    >>> import fastnn as fnn
    >>> fnn.ops.ne([1, 2], 2)
    array([ True, False])
    """
    return operands(x, y, "ne"), {}
