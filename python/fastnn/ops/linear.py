from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32
from fastnn.op import op
from fastnn.tape import Backward


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
    if not _core.are_dense(x, bias):
        x = np.ascontiguousarray(as_float32(x, "linear", "x"))
        bias = None if bias is None else np.ascontiguousarray(as_float32(bias, "linear", "bias"))
    if type(weight) is not np.ndarray or weight.dtype != np.float32 or not weight.flags.aligned:
        weight = as_float32(weight, "linear", "weight")
    y = _core.linear_forward(x, weight, bias)

    def backward(dy: FloatArray) -> tuple[FloatArray | None, ...]:
        return _core.linear_backward(x, weight, np.ascontiguousarray(dy), *need)

    if not (need[0] and need[1]):  # of the other one only the shape is looked at
        backward.reads = weight if need[0] else x if need[1] else ()  # type: ignore[attr-defined]
    return y, backward
