"""The ops that stand for NumPy's functions of Tensors, with NumPy's names for arguments: see numpy_protocol.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.ops.activation import tanh
from fastnn.ops.arithmetic import add, div, maximum, minimum, mul, pow, sub, where
from fastnn.ops.arrange import flip
from fastnn.ops.compare import eq, ge, gt, le, lt, ne
from fastnn.ops.division import floor_divide, remainder
from fastnn.ops.extreme import max, min
from fastnn.ops.join import concatenate, stack
from fastnn.ops.logic import (
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
)
from fastnn.ops.matmul import matmul
from fastnn.ops.pointwise import abs, clamp, exp, log, neg, sqrt
from fastnn.ops.reduction import mean, std, sum, var
from fastnn.ops.shape import broadcast_to, permute, reshape, squeeze, transpose, unsqueeze

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


UFUNCS: dict[np.ufunc, Function] = {
    np.absolute: abs,
    np.add: add,
    np.bitwise_and: bitwise_and,
    np.bitwise_or: bitwise_or,
    np.bitwise_xor: bitwise_xor,
    np.divide: div,
    np.equal: eq,
    np.exp: exp,
    np.fabs: abs,
    np.floor_divide: floor_divide,
    np.greater: gt,
    np.greater_equal: ge,
    np.invert: bitwise_not,
    np.less: lt,
    np.less_equal: le,
    np.log: log,
    np.logical_and: logical_and,
    np.logical_not: logical_not,
    np.logical_or: logical_or,
    np.logical_xor: logical_xor,
    np.matmul: matmul,
    np.maximum: maximum,
    np.minimum: minimum,
    np.multiply: mul,
    np.negative: neg,
    np.not_equal: ne,
    np.positive: lambda x: x,
    np.power: pow,
    np.reciprocal: lambda x: div(1, x),
    np.remainder: remainder,
    np.sqrt: sqrt,
    np.square: lambda x: mul(x, x),
    np.subtract: sub,
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
