from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32
from fastnn.ops.op import Shape, op
from fastnn.tape import Backward


def _shape(x: Shape, weight: Shape, bias: Shape | None, *, relu: bool = False) -> Shape:
    if len(weight) != 2:
        raise ValueError(f"linear: weight has shape {weight}, expected 2 dimensions (out_features, in_features)")
    if not x or x[-1] != weight[1]:
        raise ValueError(f"linear: x of shape {x} does not end in the in_features of weight {weight}")
    if bias is not None and bias != weight[:1]:
        raise ValueError(f"linear: bias has shape {bias} but weight {weight} expects {weight[:1]}")
    return *x[:-1], weight[0]


def _run(
    x: FloatArray, weight: FloatArray, bias: FloatArray | None, *, need: Sequence[bool], relu: bool = False
) -> tuple[FloatArray, Backward | None]:
    """``relu`` of the output is for graphs: fnn.rewrite writes it."""
    if not _core.are_dense(x, bias):
        x, bias = np.ascontiguousarray(x), None if bias is None else np.ascontiguousarray(bias)
    y = _core.linear_forward(x, weight, bias, True) if relu else _core.linear_forward(x, weight, bias)
    if True not in need:
        return y, None
    want_x, want_weight, want_bias = need
    if relu:

        def backward_relu(dy: FloatArray) -> tuple[FloatArray | None, ...]:
            dy = _core.activation_backward("relu", y, np.ascontiguousarray(dy))
            return _core.linear_backward(x, weight, dy, want_x, want_weight, want_bias)

        return y, backward_relu

    def backward(dy: FloatArray) -> tuple[FloatArray | None, ...]:
        return _core.linear_backward(x, weight, np.ascontiguousarray(dy), want_x, want_weight, want_bias)

    if not (want_x and want_weight):  # of the other one only the shape is looked at
        backward.reads = weight if want_x else x if want_weight else ()  # type: ignore[attr-defined]
    return y, backward


@op(shape=_shape, run=_run)
def linear(x: Any, weight: Any, bias: Any = None) -> Any:
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
        x, bias = as_float32(x, "linear", "x"), None if bias is None else as_float32(bias, "linear", "bias")
    return (x, as_float32(weight, "linear", "weight"), bias), {}
