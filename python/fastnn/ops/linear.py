from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32
from fastnn.tensor import Backward, op


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
    x, weight = as_float32(x, "linear", "x"), as_float32(weight, "linear", "weight")
    if not x.flags.c_contiguous:
        x = np.ascontiguousarray(x)
    if bias is not None:
        bias = as_float32(bias, "linear", "bias")
        if not bias.flags.c_contiguous:
            bias = np.ascontiguousarray(bias)
    y = _core.linear_forward(x, weight, bias)

    def backward(dy: FloatArray) -> tuple[FloatArray | None, ...]:
        return _core.linear_backward(x, weight, np.ascontiguousarray(dy), *need)

    if not (need[0] and need[1]):  # of the other one only the shape is looked at
        backward.reads = [part for part, wanted in ((weight, need[0]), (x, need[1])) if wanted]  # type: ignore[attr-defined]
    return y, backward
