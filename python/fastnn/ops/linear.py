from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32, as_value
from fastnn.ops.broadcast import no_bool
from fastnn.ops.checks import kept
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


def _whole(x: Any, weight: Any, bias: Any, relu: bool) -> Any:
    """Of integers, exactly; the kernel has float32 only."""
    _shape(x.shape, weight.shape, None if bias is None else bias.shape)  # NumPy would broadcast
    y = np.asarray(np.matmul(x, weight.T))
    y = y if bias is None else y + bias
    return np.maximum(y, 0) if relu else y


def _run(
    x: FloatArray, weight: FloatArray, bias: FloatArray | None, *, need: Sequence[bool], relu: bool = False
) -> tuple[FloatArray, Backward | None]:
    """``relu`` of the output is for graphs: fnn.rewrite writes it."""
    if not _core.are_dense(x, bias):
        if x.dtype.kind != "f":
            return _whole(x, weight, bias, relu), None
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


@op(shape=_shape, run=_run, outputs=kept, floats=3)
def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """y = x weightᵀ + bias, over the last axis of x.

    Args:
        x: (..., in_features).
        weight: (out_features, in_features).
        bias: (out_features) or None (default).

    Returns (..., out_features): float32, or int64 and exact where all are integers and one is a Tensor. Raises
    ValueError when the shapes do not match, TypeError for complex, object and string input, for bool without floats.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.linear(np.ones((2, 3), np.float32), np.ones((1, 3), np.float32), np.zeros(1, np.float32))
    array([[3.],
           [3.]], dtype=float32)
    """
    if not _core.are_dense(x, bias):
        x = as_value(x, "linear", "x")
        if x.dtype.kind != "f":
            given = (("weight", weight), ("bias", bias))
            whole = [None if each is None else as_value(each, "linear", name) for name, each in given]
            if all([each is None or each.dtype.kind != "f" for each in whole]):
                no_bool("linear", "x.long()", x, *[each for each in whole if each is not None])
                return (x, *whole), {}
        x, bias = as_float32(x, "linear", "x"), None if bias is None else as_float32(bias, "linear", "bias")
    return (x, as_float32(weight, "linear", "weight"), bias), {}
