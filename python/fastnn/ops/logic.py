"""Logic: of bits (``& | ^ ~``, integers and bool), of truth (anything but 0 is true), and over axes. No gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from fastnn.arrays import as_value
from fastnn.ops.broadcast import operands
from fastnn.ops.checks import broadcast, kept, same
from fastnn.ops.compare import BoolArray, run_of
from fastnn.ops.op import Normal, op
from fastnn.ops.reduction import NOT_GIVEN, Axis, axis_and_keep, reduced, rows_of


def _bits(op: str, *arrays: Any) -> Any:
    """Raises TypeError for floats, which have no bits to speak of."""
    for x in arrays:
        if x.dtype.kind == "f":
            raise TypeError(f"{op}: not supported for float32, expected integers or bool, such as x > 0")
    return arrays


@op(shape=partial(broadcast, "bitwise_and"), run=run_of(np.bitwise_and), outputs=kept)
def bitwise_and(x: Any, y: Any) -> Normal:
    """x & y, of bool or integers, which broadcast together; int64 unless both are bool. Raises TypeError for floats.

    >>> import fastnn as fnn
    >>> fnn.ops.bitwise_and([True, True], [True, False])
    array([ True, False])
    """
    return _bits("bitwise_and", *operands(x, y, "bitwise_and")), {}


@op(shape=same, run=run_of(np.invert), outputs=kept)
def bitwise_not(x: Any) -> Normal:
    """~x: not, of bool; -1 - x, of integers. Raises TypeError for floats.

    >>> import fastnn as fnn
    >>> ~fnn.tensor([True, False])
    Tensor([False,  True])
    """
    return _bits("bitwise_not", as_value(x, "bitwise_not", "x")), {}


@op(shape=partial(broadcast, "bitwise_or"), run=run_of(np.bitwise_or), outputs=kept)
def bitwise_or(x: Any, y: Any) -> Normal:
    """x | y, as bitwise_and.

    >>> import fastnn as fnn
    >>> fnn.ops.bitwise_or([1, 2], 4)
    array([5, 6])
    """
    return _bits("bitwise_or", *operands(x, y, "bitwise_or")), {}


@op(shape=partial(broadcast, "bitwise_xor"), run=run_of(np.bitwise_xor), outputs=kept)
def bitwise_xor(x: Any, y: Any) -> Normal:
    """x ^ y, as bitwise_and.

    >>> import fastnn as fnn
    >>> fnn.ops.bitwise_xor([True, True], [True, False])
    array([False,  True])
    """
    return _bits("bitwise_xor", *operands(x, y, "bitwise_xor")), {}


@op(shape=partial(broadcast, "logical_and"), run=run_of(np.logical_and), outputs="bool")
def logical_and(x: Any, y: Any) -> Normal:
    """Whether both are true, element by element, as bool; nan is true.

    >>> import fastnn as fnn
    >>> fnn.ops.logical_and([0.0, 2.0], [1, 1])
    array([False,  True])
    """
    return operands(x, y, "logical_and"), {}


@op(shape=same, run=run_of(np.logical_not), outputs="bool")
def logical_not(x: Any) -> Normal:
    """Whether x is 0, as logical_and.

    >>> import fastnn as fnn
    >>> fnn.ops.logical_not([0.0, 2.0])
    array([ True, False])
    """
    return (as_value(x, "logical_not", "x"),), {}


@op(shape=partial(broadcast, "logical_or"), run=run_of(np.logical_or), outputs="bool")
def logical_or(x: Any, y: Any) -> Normal:
    """Whether one of both is true, as logical_and.

    >>> import fastnn as fnn
    >>> fnn.ops.logical_or([0.0, 2.0], 0)
    array([False,  True])
    """
    return operands(x, y, "logical_or"), {}


@op(shape=partial(broadcast, "logical_xor"), run=run_of(np.logical_xor), outputs="bool")
def logical_xor(x: Any, y: Any) -> Normal:
    """Whether just one of both is true, as logical_and.

    >>> import fastnn as fnn
    >>> fnn.ops.logical_xor([0.0, 2.0], 1)
    array([ True, False])
    """
    return operands(x, y, "logical_xor"), {}


def _run_over(name: str, ufunc: np.ufunc) -> Callable[..., tuple[BoolArray, None]]:
    def run(x: Any, *, need: Sequence[bool], axis: Axis, keepdims: bool) -> tuple[BoolArray, None]:
        r = rows_of(x.shape, axis, keepdims, name)
        return np.asarray(ufunc.reduce(x, axis=r.axes, dtype=np.bool_)).reshape(r.y_shape), None

    return run


@op(shape=partial(reduced, "all"), run=_run_over("all", np.logical_and), outputs="bool")
def all(x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = NOT_GIVEN, keepdims: bool = False) -> Normal:
    """Whether every element is true, over ``dim`` or ``axis`` as sum has them; true over no elements.

    >>> import fastnn as fnn
    >>> (fnn.tensor([[1.0, 2.0], [0.0, 3.0]]) > 0).all(1)
    Tensor([ True, False])
    """
    return (as_value(x, "all", "x"),), axis_and_keep("all", dim, keepdim, axis, keepdims)


@op(shape=partial(reduced, "any"), run=_run_over("any", np.logical_or), outputs="bool")
def any(x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = NOT_GIVEN, keepdims: bool = False) -> Normal:
    """Whether some element is true, as all; false over no elements.

    >>> import fastnn as fnn
    >>> fnn.ops.any([[0, 2], [0, 0]], 1)
    array([ True, False])
    """
    return (as_value(x, "any", "x"),), axis_and_keep("any", dim, keepdim, axis, keepdims)
