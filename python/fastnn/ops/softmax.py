from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32
from fastnn.ops.checks import integer
from fastnn.ops.op import Normal, Shape, op
from fastnn.tape import Backward


def rows_along(x: FloatArray, dim: int) -> FloatArray:
    """(rows, x.shape[dim]): every line of x along ``dim``; a view where the memory allows, as channels last does."""
    shape = x.shape
    if (dim == -1 or dim == len(shape) - 1) and x.flags.c_contiguous:
        return x if len(shape) == 2 else x.reshape(x.size // max(1, shape[-1]), shape[-1])
    last = np.moveaxis(x, dim, -1)
    return np.ascontiguousarray(last).reshape(last.size // max(1, shape[dim]), shape[dim])


def _back(rows: FloatArray, shape: tuple[int, ...], dim: int) -> FloatArray:
    """The inverse of rows_along for an x of that shape."""
    dim = dim % len(shape)
    if dim == len(shape) - 1:
        return rows.reshape(shape)
    return np.moveaxis(rows.reshape(*shape[:dim], *shape[dim + 1 :], shape[dim]), -1, dim)


def _shape(name: str, x: Shape, *, dim: int) -> Shape:
    if not -len(x) <= dim < len(x):
        raise ValueError(f"{name}: dim is {dim}, x of shape {x} has {len(x)} dimensions")
    return x


def _run(logarithm: bool) -> Callable[..., tuple[FloatArray, Backward]]:
    def run(x: FloatArray, *, need: Sequence[bool], dim: int) -> tuple[FloatArray, Backward]:
        shape = x.shape
        y = _core.softmax_forward(rows_along(x, dim), logarithm)

        def backward(dy: FloatArray) -> tuple[FloatArray]:
            return (_back(_core.softmax_backward(y, rows_along(dy, dim), logarithm), shape, dim),)

        return _back(y, shape, dim), backward

    return run


@op(shape=partial(_shape, "softmax"), run=_run(logarithm=False))
def softmax(x: Any, dim: int) -> Normal:
    """exp(x) / sum of exp(x) along ``dim``; the largest element is taken off first, so nothing overflows.

    Args:
        x: any shape with at least one dimension.
        dim: the axis whose elements add up to 1; negative counts from the end.

    Returns the shape of x, ``dim`` contiguous in memory. Lines that are -inf throughout, or hold NaN or +inf, give NaN.
    Raises ValueError when x has no such axis, TypeError for complex, object and string input.

    >>> import fastnn as fnn
    >>> fnn.ops.softmax([[1e30, 1e30], [0.0, -1e30]], dim=1)
    array([[0.5, 0.5],
           [1. , 0. ]], dtype=float32)
    """
    return (as_float32(x, "softmax", "x"),), {"dim": integer(dim, "softmax", "dim")}


@op(shape=partial(_shape, "log_softmax"), run=_run(logarithm=True))
def log_softmax(x: Any, dim: int) -> Normal:
    """x - log(sum of exp(x)) along ``dim``, without overflow. Arguments, layout and errors as softmax.

    >>> import fastnn as fnn
    >>> fnn.ops.log_softmax([0.0, 0.0], dim=0)
    array([-0.6931472, -0.6931472], dtype=float32)
    """
    return (as_float32(x, "log_softmax", "x"),), {"dim": integer(dim, "log_softmax", "dim")}
