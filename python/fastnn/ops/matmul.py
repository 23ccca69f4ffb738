from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32, as_value
from fastnn.dtypes import float32, promoted
from fastnn.ops.broadcast import no_bool, sum_to
from fastnn.ops.checks import kept
from fastnn.ops.op import Shape, op
from fastnn.tape import Backward


def _shape(a: Shape, b: Shape) -> Shape:
    if not a or not b:
        raise ValueError(f"matmul: a has shape {a} and b {b}, expected at least 1 dimension each")
    left, right = (1, *a) if len(a) == 1 else a, (*b, 1) if len(b) == 1 else b
    try:
        batch = np.broadcast_shapes(left[:-2], right[:-2])
    except ValueError:
        raise ValueError(f"matmul: leading axes of a {a} and b {b} do not broadcast together") from None
    if left[-1] != right[-2]:
        raise ValueError(f"matmul: a {a} and b {b} do not match: {left[-1]} and {right[-2]}")
    return (*batch, *a[-2:-1], *(() if len(b) == 1 else b[-1:]))


def _product(a: FloatArray, b: FloatArray) -> FloatArray:
    """(..., M, K) times (..., K, N), the leading axes broadcast; one matrix b serves all of a without being copied."""
    if a.ndim == b.ndim == 2:
        product: FloatArray = _core.gemm(a[None], b[None])[0]
        return product
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    count, m, k, n = math.prod(batch), a.shape[-2], a.shape[-1], b.shape[-1]
    a = np.broadcast_to(a, (*batch, m, k)).reshape(count, m, k)
    one = math.prod(b.shape[:-2]) == 1
    b = b.reshape(1, k, n) if one else np.broadcast_to(b, (*batch, k, n)).reshape(count, k, n)
    return _core.gemm(a, b).reshape(*batch, m, n)


def _gradient_of_one(a: FloatArray, dy: FloatArray) -> FloatArray:
    """Sum over all matrices of aᵀ dy, as one product of tall matrices."""
    rows = math.prod(a.shape[:-1])
    a2, dy2 = a.reshape(rows, a.shape[-1]), dy.reshape(rows, dy.shape[-1])
    product: FloatArray = _core.gemm(a2.T[None], dy2[None])[0]
    return product


def _run(a: FloatArray, b: FloatArray, *, need: Sequence[bool]) -> tuple[FloatArray, Backward | None]:
    if a.dtype is not float32 and a.dtype.kind != "f":
        return np.asarray(np.matmul(a, b)), None  # exact; the kernel has float32 only
    row, column = a.ndim == 1, b.ndim == 1
    left = a[None] if row else a
    right = b[:, None] if column else b
    if left.shape[-1] != right.shape[-2]:
        raise ValueError("matmul: a and b do not match")
    y = _product(left, right)
    whole = y.shape
    if row or column:
        y = y.reshape(whole[:-2] + (() if row else whole[-2:-1]) + (() if column else whole[-1:]))

    a_shape, b_shape, left_shape, right_shape = a.shape, b.shape, left.shape, right.shape
    kept_left, kept_right = left if need[1] else None, right if need[0] else None

    def backward(dy: FloatArray) -> tuple[FloatArray | None, ...]:
        dy = dy.reshape(whole)
        da = db = None
        if kept_right is not None:
            da = sum_to(_product(dy, kept_right.swapaxes(-1, -2)), left_shape).reshape(a_shape)
        if kept_left is not None:
            if len(right_shape) == 2:
                db = _gradient_of_one(kept_left, dy).reshape(b_shape)
            else:
                db = sum_to(_product(kept_left.swapaxes(-1, -2), dy), right_shape).reshape(b_shape)
        return da, db

    return y, backward


@op(shape=_shape, run=_run, outputs=kept, floats=2)
def matmul(a: Any, b: Any) -> Any:
    """The matrix product a @ b, of the package's own kernel: the same bits for any number of threads.

    Args:
        a: (..., M, K), or (K), which is taken as one row that is dropped from the result.
        b: (..., K, N), or (K), which is taken as one column that is dropped from the result.

    Returns (..., M, N), the leading axes broadcast: float32, or int64 and exact, by NumPy, where a Tensor of integers
    meets integers. Raises ValueError when the shapes do not match, TypeError for a Tensor of bool that meets no floats.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.matmul(np.ones((2, 3)), np.ones((3, 1)))
    array([[3.],
           [3.]], dtype=float32)
    """
    a, b = as_value(a, "matmul", "a"), as_value(b, "matmul", "b")
    if a.dtype is float32 and b.dtype is float32:
        return (a, b), {}
    if promoted(a.dtype, b.dtype).kind == "f":
        return (as_float32(a, "matmul", "a"), as_float32(b, "matmul", "b")), {}
    no_bool("matmul", "mask.long()", a, b)
    return (a, b), {}
