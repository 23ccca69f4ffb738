from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_indices, as_numbers
from fastnn.op import op
from fastnn.tape import Backward


def _check(x: FloatArray, index: Any, count: int, name: str) -> None:
    if index.ndim != 1 or (index.size and (index.min() < 0 or index.max() >= count)):
        raise ValueError(f"{name}: index has shape {index.shape}, expected rows (K) in [0, {count}), x {x.shape}")


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


@op
def take_rows(x: Any, index: Any, *, need: list[bool]) -> tuple[FloatArray, Backward]:
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
    x, index = as_numbers(x, "take_rows", "x"), as_indices(index, "take_rows", "index")
    _check(x, index, len(x), "take_rows")
    return _take(x, index), lambda dy: [_put(dy, index, len(x)), None]


@op
def put_rows(x: Any, index: Any, count: int, *, need: list[bool]) -> tuple[FloatArray, Backward]:
    """Zeros of `count` rows with row index[k] = x[k]; the inverse of take_rows.

    Args:
        x: (K, ...).
        index: (K) integers in [0, count), no two equal (not checked: the last of them stays).
        count: rows of the result.

    Returns (count, ...). Raises ValueError for rows that are not there, TypeError for an index that is not of integers.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.put_rows(np.array([[1.0], [2.0]]), [2, 0], 3)
    array([[2.],
           [0.],
           [1.]], dtype=float32)
    """
    x, index = as_numbers(x, "put_rows", "x"), as_indices(index, "put_rows", "index")
    _check(x, index, count, "put_rows")
    if len(x) != len(index):
        raise ValueError(f"put_rows: x has shape {x.shape} but index {index.shape}")
    return _put(x, index, count), lambda dy: [_take(dy, index), None, None]
