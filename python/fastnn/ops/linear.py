from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32, require_ndim
from fastnn.tensor import Backward, op


def check_linear(x: FloatArray, weight: FloatArray, bias: FloatArray | None) -> None:
    require_ndim(weight, 2, "(out_features, in_features)", "linear", "weight")
    if x.ndim < 1 or x.shape[-1] != weight.shape[1]:
        raise ValueError(f"linear: x of shape {x.shape} does not end in the in_features of weight {weight.shape}")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"linear: bias has shape {bias.shape} but weight {weight.shape} expects {weight.shape[:1]}")


@op
def linear(x: Any, weight: Any, bias: Any = None, *, need: list[bool]) -> tuple[FloatArray, Backward]:
    """y = x weightᵀ + bias, over the last axis of x.

    Args:
        x: (..., in_features).
        weight: (out_features, in_features).
        bias: (out_features) or None (default).

    Returns (..., out_features). Raises ValueError when the shapes do not match, TypeError for complex, object and
    string input.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.linear(np.ones((2, 3), np.float32), np.ones((1, 3), np.float32), np.zeros(1, np.float32))
    array([[3.],
           [3.]], dtype=float32)
    """
    x = as_float32(x, "linear", "x")
    weight = as_float32(weight, "linear", "weight")
    if bias is not None:
        bias = np.ascontiguousarray(as_float32(bias, "linear", "bias"))
    check_linear(x, weight, bias)
    rows = x.reshape(-1 if x.size else int(np.prod(x.shape[:-1])), x.shape[-1])
    y = _core.gemm(rows[None], weight.T[None], bias, True)[0].reshape(*x.shape[:-1], weight.shape[0])

    def backward(dy: FloatArray) -> tuple[FloatArray | None, ...]:
        dy = np.ascontiguousarray(dy).reshape(rows.shape[0], weight.shape[0])
        dx = _core.gemm(dy[None], weight[None], None, True)[0].reshape(x.shape) if need[0] else None
        dw = _core.gemm(dy.T[None], rows[None])[0] if need[1] else None
        db = _core.sum_rows(dy) if need[2] else None
        return dx, dw, db

    return y, backward
