from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_indices, as_numbers
from fastnn.ops.op import Shape, op
from fastnn.tape import Backward


def _require_rows(index: Any, count: int, x: Shape, name: str) -> None:
    if index.ndim != 1 or (index.size and index.view(np.uint64).max() >= count):  # negative ones are large then
        raise ValueError(f"{name}: index has shape {index.shape}, expected rows (K) in [0, {count}), x {x}")


def _check_index(index: Shape, count: int, x: Shape, name: str) -> None:
    if len(index) != 1:
        raise ValueError(f"{name}: index has shape {index}, expected rows (K) in [0, {count}), x {x}")


def _take(x: FloatArray, index: Any) -> FloatArray:
    """x[index] along the first axis, zeros for -1."""
    if x.dtype != np.float32:
        y: FloatArray = x.take(index, axis=0)
        y[index < 0] = 0
        return y
    rows = np.ascontiguousarray(x).reshape(len(x), math.prod(x.shape[1:]))
    return _core.take_rows(rows, index).reshape(len(index), *x.shape[1:])


def _put(x: FloatArray, index: Any, count: int) -> FloatArray:
    source = np.full(count, -1, np.int64)
    source[index] = np.arange(len(index))
    return _take(x, source)


def _dtype(x: Any, index: Any) -> Any:
    return x


def _take_shape(x: Shape, index: Shape) -> Shape:
    if not x:
        raise ValueError(f"take_rows: x has shape {x}, expected at least 1 dimension")
    _check_index(index, x[0], x, "take_rows")
    return *index, *x[1:]


def _take_run(x: FloatArray, index: Any, *, need: Sequence[bool]) -> tuple[FloatArray, Backward]:
    count = len(x) if x.ndim else 0
    _require_rows(index, count, x.shape, "take_rows")
    return _take(x, index), lambda dy: [_put(dy, index, count), None]


@op(shape=_take_shape, run=_take_run, outputs=_dtype)
def take_rows(x: Any, index: Any) -> Any:
    """x[index] along the first axis, for rows that are all different; the inverse of put_rows.

    Args:
        x: (R, ...).
        index: (K) integers in [0, R), no two equal (not checked: the gradient of a row is that of one of its copies).

    Returns (K, ...). Raises ValueError for rows that are not there, TypeError for an index that is not of integers.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.take_rows(np.array([[1.0], [2.0], [3.0]]), [2, 0])
    array([[3.],
           [1.]], dtype=float32)
    """
    return (as_numbers(x, "take_rows", "x"), as_indices(index, "take_rows", "index")), {}


def _put_shape(x: Shape, index: Shape, *, count: int | Shape) -> Shape:
    axes = count if isinstance(count, tuple) else (count,)
    if not axes or min(axes) < 0:
        raise ValueError(f"put_rows: count is {count}, expected a number of rows")
    _check_index(index, math.prod(axes), x, "put_rows")
    if x[:1] != index:
        raise ValueError(f"put_rows: x has shape {x} but index {index}")
    return *axes, *x[1:]


def _put_run(x: FloatArray, index: Any, *, need: Sequence[bool], count: int | Shape) -> tuple[FloatArray, Backward]:
    rows = math.prod(count) if isinstance(count, tuple) else count
    _require_rows(index, rows, x.shape, "put_rows")
    if x.shape[:1] != index.shape or count == ():
        raise ValueError("put_rows: x and index do not match")
    y = _put(x, index, rows)
    if not isinstance(count, tuple):
        return y, lambda dy: [_take(dy, index), None]
    shape = *count, *x.shape[1:]
    return y.reshape(shape), lambda dy: [_take(dy.reshape(rows, *shape[len(count) :]), index), None]


@op(shape=_put_shape, run=_put_run, outputs=_dtype)
def put_rows(x: Any, index: Any, count: int | Sequence[int]) -> Any:
    """Zeros of `count` rows with row index[k] = x[k]; the inverse of take_rows.

    Args:
        x: (K, ...).
        index: (K) integers in [0, count), no two equal (not checked: the last of them stays).
        count: rows of the result, or several sizes whose product is that.

    Returns (count, ...), or with several sizes (*count, ...). Raises ValueError for rows that are not there, TypeError
    for an index that is not of integers.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.put_rows(np.array([[1.0], [2.0]]), [2, 0], 3)
    array([[2.],
           [0.],
           [1.]], dtype=float32)
    """
    arrays = as_numbers(x, "put_rows", "x"), as_indices(index, "put_rows", "index")
    if isinstance(count, (tuple, list)):
        return arrays, {"count": tuple([operator.index(n) for n in count])}
    return arrays, {"count": operator.index(count)}  # type: ignore[arg-type]
