"""Reductions over some axes or all of them. Sums are added in float64 and do not depend on layout, threads or batch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.arrays import FloatArray, as_float32
from fastnn.ops.broadcast import BLOCK, row_sums
from fastnn.tensor import Backward, Tensor, op

Axis = int | tuple[int, ...] | list[int] | None
Result = tuple[FloatArray, Backward]


def one_axis(axis: Any, ndim: int, op: str, name: str = "axis") -> int:
    """``axis`` counted from the front; raises ValueError when there is no such axis."""
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
        raise TypeError(f"{op}: {name} is {axis!r}, expected an integer")
    if not -ndim <= axis < ndim:
        raise ValueError(f"{op}: {name} is {axis}, but x has {ndim} dimensions")
    return int(axis) % ndim


def axes_of(axis: Axis, ndim: int, op: str) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = sorted([one_axis(a, ndim, op) for a in given])
    if len(set(axes)) != len(axes):
        raise ValueError(f"{op}: axis {axis} names the same axis twice")
    return tuple(axes)


class _Rows:
    """An array of ``shape`` as (R, K): K runs over the axes that are reduced, in C order, R over the others."""

    def __init__(self, shape: tuple[int, ...], axis: Axis, keepdims: bool, op: str) -> None:
        self.shape = shape
        self.axes = axes_of(axis, len(shape), op)
        if len(self.axes) == len(shape):
            self.order, self.length, self.count = self.axes, math.prod(shape), 1
            self.kept_shape = (1,) * len(shape)
            self.y_shape = self.kept_shape if keepdims else ()
            return
        kept = tuple([i for i in range(len(shape)) if i not in self.axes])
        self.order = kept + self.axes
        self.length = math.prod([shape[i] for i in self.axes])
        self.count = math.prod([shape[i] for i in kept])
        self.kept_shape = tuple([1 if i in self.axes else n for i, n in enumerate(shape)])
        self.y_shape = self.kept_shape if keepdims else tuple([shape[i] for i in kept])

    def rows(self, x: FloatArray) -> FloatArray:
        return x.transpose(self.order).reshape(self.count, self.length)

    def spread(self, dy: FloatArray) -> FloatArray:
        """dy at every element that it came from, as a view."""
        return np.broadcast_to(dy.reshape(self.kept_shape), self.shape)

    def back(self, rows: FloatArray) -> FloatArray:
        """(R, K) in the given shape, as a view."""
        return rows.reshape([self.shape[i] for i in self.order]).transpose(np.argsort(self.order))


@op
@np.errstate(all="ignore")
def sum(x: Any, axis: Axis = None, keepdims: bool = False, *, need: list[bool]) -> Result:
    """Sum over ``axis`` (an int, several, or None for all), added in float64.

    keepdims leaves the summed axes with size 1. Default False. Raises ValueError when x has no such axis.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.sum(np.ones((2, 3)), axis=1)
    array([3., 3.], dtype=float32)
    """
    x = as_float32(x, "sum", "x")
    r = _Rows(x.shape, axis, keepdims, "sum")
    y = row_sums(r.rows(x)).astype(np.float32)
    return y.reshape(r.y_shape), lambda dy: (r.spread(dy),)


@op
@np.errstate(all="ignore")
def mean(x: Any, axis: Axis = None, keepdims: bool = False, *, need: list[bool]) -> Result:
    """Mean over ``axis``, as sum; nan over no elements.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.mean(np.arange(6.0).reshape(2, 3), axis=1)
    array([1., 4.], dtype=float32)
    """
    x = as_float32(x, "mean", "x")
    r = _Rows(x.shape, axis, keepdims, "mean")
    length = np.float64(r.length or math.nan)
    y = (row_sums(r.rows(x)) / length).astype(np.float32)
    return y.reshape(r.y_shape), lambda dy: (r.spread(dy / np.float32(length)),)


@op
@np.errstate(all="ignore")
def var(x: Any, axis: Axis = None, correction: int = 1, keepdims: bool = False, *, need: list[bool]) -> Result:
    """Variance over ``axis``: sum of (x - mean)**2 / (K - correction) over K elements, in float64.

    correction=1 (default, as torch.var) is unbiased for a sample, 0 is the variance of the elements themselves (as
    numpy.var). nan where K <= correction. keepdims and errors as sum.

    >>> import fastnn as fnn
    >>> float(fnn.ops.var([1.0, 2.0, 3.0]))
    1.0
    """
    x = as_float32(x, "var", "x")
    r = _Rows(x.shape, axis, keepdims, "var")
    freedom = r.length - correction if r.length > correction else math.nan
    rows = r.rows(x)
    means = row_sums(rows) / (r.length or 1)
    y = np.empty(r.count, np.float32)
    step = BLOCK // (r.length or 1) or 1
    for i in range(0, r.count, step):
        deviations = rows[i : i + step] - means[i : i + step, None]
        y[i : i + step] = np.add.reduce(deviations * deviations, 1) / freedom

    def backward(dy: FloatArray) -> tuple[FloatArray]:
        scale = dy.reshape(r.kept_shape) * np.float64(2 / freedom)
        return (((x - means.reshape(r.kept_shape)) * scale).astype(np.float32),)

    return y.reshape(r.y_shape), backward


def _extreme(name: str, x: Any, axis: Axis, keepdims: bool) -> Result:
    """max or min; the first one in C order gets the gradient."""
    x = as_float32(x, name, "x")
    r = _Rows(x.shape, axis, keepdims, name)
    if not r.length:
        raise ValueError(f"{name}: x has shape {x.shape}, nothing to choose from over axis {axis}")
    choose, where = (np.maximum, np.argmax) if name == "max" else (np.minimum, np.argmin)
    y = np.asarray(choose.reduce(x, axis=r.axes))

    def backward(dy: FloatArray) -> tuple[FloatArray]:
        rows = np.zeros((r.count, r.length), np.float32)
        rows[np.arange(r.count), where(r.rows(x), axis=1)] = dy.ravel()
        return (r.back(rows),)

    return y.reshape(r.y_shape), backward


@op
def max(x: Any, axis: Axis = None, keepdims: bool = False, *, need: list[bool]) -> Result:
    """Largest element over ``axis``, as sum; nan where one is nan. The first largest gets the gradient.

    Also raises ValueError where there is no element to choose.

    >>> import fastnn as fnn
    >>> fnn.ops.max([[1.0, 5.0], [7.0, 3.0]], axis=1)
    array([5., 7.], dtype=float32)
    """
    return _extreme("max", x, axis, keepdims)


@op
def min(x: Any, axis: Axis = None, keepdims: bool = False, *, need: list[bool]) -> Result:
    """Smallest element over ``axis``, as max.

    >>> import fastnn as fnn
    >>> fnn.ops.min([[1.0, 5.0], [7.0, 3.0]], axis=1)
    array([1., 3.], dtype=float32)
    """
    return _extreme("min", x, axis, keepdims)


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> npt.NDArray[np.int64]:
    """Where the first largest element lies along ``axis`` (None: in the flattened array); int64, no gradient.

    >>> import fastnn as fnn
    >>> fnn.ops.argmax([[1.0, 5.0], [7.0, 3.0]], axis=1)
    array([1, 0])
    """
    x = as_float32(x.data if isinstance(x, Tensor) else x, "argmax", "x")
    if axis is not None:
        axis = one_axis(axis, x.ndim, "argmax")
    if not (x.size if axis is None else x.shape[axis]):
        raise ValueError(f"argmax: x has shape {x.shape}, nothing to choose from over axis {axis}")
    return np.asarray(np.argmax(x, axis=axis, keepdims=keepdims))
