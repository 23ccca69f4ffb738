"""The ops that stand for NumPy's functions of Tensors, with NumPy's names for arguments: see numpy_protocol.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.ops.activation import tanh
from fastnn.ops.arithmetic import div, maximum, minimum, mul, pow, where
from fastnn.ops.arrange import flip
from fastnn.ops.extreme import max, min
from fastnn.ops.join import concatenate, stack
from fastnn.ops.matmul import matmul
from fastnn.ops.pointwise import abs, clamp, exp, log, neg, sqrt
from fastnn.ops.reduction import mean, std, sum, var
from fastnn.ops.shape import broadcast_to, permute, reshape, squeeze, transpose, unsqueeze
from fastnn.value import Tensor

Function = Callable[..., Any]


def _transpose(a: Any, axes: Any = None) -> Any:
    return permute(a, range(a.ndim - 1, -1, -1) if axes is None else axes)


def _reduction(op: Function) -> Function:
    def call(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
        return op(a, axis=axis, keepdims=keepdims)

    return call


def _spread(op: Function) -> Function:
    def call(a: Any, axis: Any = None, *, ddof: int = 0, keepdims: bool = False) -> Any:
        return op(a, axis=axis, correction=ddof, keepdims=keepdims)

    return call


def _squeeze(a: Any, axis: int | None = None) -> Any:
    if axis is not None and a.shape[axis] != 1:
        raise ValueError(f"squeeze: axis {axis} of the Tensor of shape {a.shape} is not of size 1")
    return squeeze(a, axis)


def _where(condition: Any, *choices: Any) -> Any:
    return where(condition, *choices) if choices else np.nonzero(condition._array)


def _clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    return clamp(a, a_min if min is None else min, a_max if max is None else max)


def _joined(op: Function) -> Function:
    def call(arrays: Any, axis: int = 0) -> Any:
        return op(arrays, axis)

    return call


def _operator(name: str) -> Function:
    """The operator of the Tensor, which is one of the two."""

    def call(x: Any, y: Any) -> Any:
        return getattr(x, f"__{name}__")(y) if isinstance(x, Tensor) else getattr(y, f"__r{name}__")(x)

    return call


UFUNCS: dict[np.ufunc, Function] = {
    np.absolute: abs,
    np.add: _operator("add"),
    np.divide: div,
    np.exp: exp,
    np.fabs: abs,
    np.log: log,
    np.matmul: matmul,
    np.maximum: maximum,
    np.minimum: minimum,
    np.multiply: _operator("mul"),
    np.negative: neg,
    np.positive: lambda x: x,
    np.power: pow,
    np.reciprocal: lambda x: div(1, x),
    np.sqrt: sqrt,
    np.square: lambda x: mul(x, x),
    np.subtract: _operator("sub"),
    np.tanh: tanh,
}

FUNCTIONS: dict[Any, Function] = {
    np.amax: _reduction(max),
    np.amin: _reduction(min),
    np.broadcast_to: lambda array, shape: broadcast_to(array, shape),
    np.clip: _clip,
    np.concatenate: _joined(concatenate),
    np.expand_dims: lambda a, axis: unsqueeze(a, axis),
    np.flip: lambda m, axis=None: flip(m, tuple(range(m.ndim)) if axis is None else axis),
    np.max: _reduction(max),
    np.mean: _reduction(mean),
    np.min: _reduction(min),
    np.ravel: lambda a: reshape(a, (-1,)),
    np.reshape: lambda a, shape: reshape(a, shape),
    np.squeeze: _squeeze,
    np.stack: _joined(stack),
    np.std: _spread(std),
    np.sum: _reduction(sum),
    np.swapaxes: lambda a, axis1, axis2: transpose(a, axis1, axis2),
    np.transpose: _transpose,
    np.var: _spread(var),
    np.where: _where,
}
