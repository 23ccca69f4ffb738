"""Reductions over some axes or all of them. Sums are added in float64 and do not depend on layout, threads or batch."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_value
from fastnn.dtypes import float32
from fastnn.ops.broadcast import BLOCK, row_sums
from fastnn.ops.checks import integer, one_axis
from fastnn.ops.op import Attributes, Normal, Shape, op
from fastnn.tape import Backward

Axis = int | tuple[int, ...] | None
Need = Sequence[bool]
Result = tuple[FloatArray, Backward | None]


def axes_of(axis: Axis, ndim: int, op: str) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, tuple) else (axis,)
    axes = sorted([one_axis(a, ndim, op, "dim, or axis,") for a in given])
    if len(set(axes)) != len(axes):
        raise ValueError(f"{op}: dim, or axis, {axis} names the same axis twice")
    return tuple(axes)


class Rows:
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
        """C-contiguous; a view of x where that is possible."""
        return np.ascontiguousarray(x.transpose(self.order).reshape(self.count, self.length))

    def spread(self, dy: FloatArray) -> FloatArray:
        """dy at every element that it came from, as a view."""
        spread: FloatArray = _core.broadcast_to(dy.reshape(self.kept_shape), self.shape)
        return spread

    def back(self, rows: FloatArray) -> FloatArray:
        """(R, K) in the given shape, as a view."""
        return rows.reshape([self.shape[i] for i in self.order]).transpose(np.argsort(self.order))


rows_of = functools.lru_cache(256)(Rows)  # made once for every shape in use


class _NotGiven:
    """The default of axis, which may be None."""

    def __repr__(self) -> str:
        return "<not given>"


NOT_GIVEN: Any = _NotGiven()


def axis_and_keep(op: str, dim: Any, keepdim: bool, axis: Any, keepdims: bool) -> Attributes:
    """The axes and whether they are kept, from torch's or NumPy's names for them."""
    name = "axis"
    if axis is NOT_GIVEN:
        name = "dim"
        axis = dim if dim is None or dim != () else None  # torch takes () for all
    elif dim is not None:
        raise TypeError(f"{op}: dim={dim} and axis={axis} are given, expected one of them")
    if axis is not None and type(axis) is not int:
        several = isinstance(axis, (tuple, list))
        axis = tuple([integer(a, op, name) for a in axis]) if several else integer(axis, op, name)
    return {"axis": axis, "keepdims": bool(keepdim or keepdims)}


def reduced(name: str, x: Shape, *, axis: Axis, keepdims: bool, **others: Any) -> Shape:
    """The shape of a reduction of x."""
    return rows_of(x, axis, keepdims, name).y_shape


def _sum_run(x: FloatArray, *, need: Need, axis: Axis, keepdims: bool) -> Result:
    r = rows_of(x.shape, axis, keepdims, "sum")
    if x.dtype is not float32 and x.dtype.kind != "f":
        return np.add.reduce(x, axis=r.axes, dtype=np.int64, keepdims=True).reshape(r.y_shape), None
    y = _core.row_means(r.rows(x), 1.0)
    return y.reshape(r.y_shape), lambda dy: (r.spread(dy),)


def _summed(x: np.dtype[Any]) -> np.dtype[Any]:
    return float32 if x.kind == "f" else np.dtype(np.int64)


@op(shape=partial(reduced, "sum"), run=_sum_run, outputs=_summed, floats=1)
def sum(x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = NOT_GIVEN, keepdims: bool = False) -> Normal:
    """Sum over ``dim``, or ``axis`` (an int, several, or None for all), added in float64; of Tensors of integers
    or bool int64.

    keepdim, or keepdims, leaves the summed axes with size 1. Default False. Raises ValueError when x has no such axis.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.sum(np.ones((2, 3)), axis=1)
    array([3., 3.], dtype=float32)
    """
    return (as_value(x, "sum", "x"),), axis_and_keep("sum", dim, keepdim, axis, keepdims)


def _no_place(name: str, x: FloatArray) -> TypeError:
    return TypeError(f"{name}: x has dtype {x.dtype}, in which a {name} has no place; write x.float().{name}()")


def _mean_run(x: FloatArray, *, need: Need, axis: Axis, keepdims: bool) -> Result:
    r = rows_of(x.shape, axis, keepdims, "mean")
    length = np.float32(r.length or math.nan)
    y = _core.row_means(r.rows(x), r.length or math.nan)
    return y.reshape(r.y_shape), lambda dy: (r.spread(dy / length),)


@op(shape=partial(reduced, "mean"), run=_mean_run, floats=1)
def mean(x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = NOT_GIVEN, keepdims: bool = False) -> Normal:
    """Mean over ``dim``, or ``axis``, as sum; nan over no elements. Raises TypeError for Tensors of integers and bool.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.mean(np.arange(6.0).reshape(2, 3), axis=1)
    array([1., 4.], dtype=float32)
    """
    x = as_value(x, "mean", "x")
    if x.dtype is not float32 and x.dtype.kind != "f":
        raise _no_place("mean", x)
    return (x,), axis_and_keep("mean", dim, keepdim, axis, keepdims)


def _spread_run(name: str, root: bool) -> Callable[..., Result]:
    """var, or its root."""

    @np.errstate(all="ignore")
    def run(x: FloatArray, *, need: Need, axis: Axis, keepdims: bool, correction: float) -> Result:
        r = rows_of(x.shape, axis, keepdims, name)
        freedom = r.length - correction if r.length > correction else math.nan
        rows = r.rows(x)
        means = row_sums(rows) / (r.length or 1)
        spread = np.empty(r.count)
        step = BLOCK // (r.length or 1) or 1
        for i in range(0, r.count, step):
            deviations = rows[i : i + step] - means[i : i + step, None]
            spread[i : i + step] = np.add.reduce(deviations * deviations, 1) / freedom
        if root:
            spread = np.sqrt(spread)
        kept = spread.reshape(r.kept_shape) if root else None

        def backward(dy: FloatArray) -> tuple[FloatArray]:
            scale = dy.reshape(r.kept_shape) * np.float64((1 if root else 2) / freedom)
            if kept is not None:
                scale = np.where(kept == 0, 0.0, scale / kept)
            return (((x - means.reshape(r.kept_shape)) * scale).astype(np.float32),)

        return spread.astype(np.float32).reshape(r.y_shape), backward

    return run


def _spread(
    name: str, x: Any, dim: Any, correction: Any, keepdim: bool, axis: Any, keepdims: bool, ddof: Any, unbiased: Any
) -> Normal:
    given = [value for value in (correction, ddof, unbiased) if value is not None]
    if len(given) > 1:
        raise TypeError(f"{name}: correction, ddof and unbiased are names of one number, expected one of them")
    correction = int(unbiased) if isinstance(unbiased, bool) else given[0] if given else None
    if isinstance(dim, bool):  # torch's older var(unbiased)
        raise TypeError(f"{name}: dim is {dim}, expected axes; write correction={int(dim)} for unbiased={dim}")
    if correction is None:
        correction = 1 if axis is NOT_GIVEN else 0
    if isinstance(correction, bool) or not isinstance(correction, (int, float, np.number)):
        raise TypeError(f"{name}: correction is {correction!r}, expected a number; True and False are 1 and 0")
    attributes = axis_and_keep(name, dim, keepdim, axis, keepdims)
    attributes["correction"] = correction.item() if isinstance(correction, np.number) else correction
    x = as_value(x, name, "x")
    if x.dtype is not float32 and x.dtype.kind != "f":
        raise _no_place(name, x)
    return (x,), attributes


@op(shape=partial(reduced, "var"), run=_spread_run("var", root=False), floats=1)
def var(
    x: Any,
    dim: Any = None,
    correction: float | None = None,
    keepdim: bool = False,
    *,
    axis: Any = NOT_GIVEN,
    keepdims: bool = False,
    ddof: float | None = None,
    unbiased: bool | None = None,
) -> Normal:
    """Variance over ``dim``, or ``axis``: sum of (x - mean)**2 / (K - correction) over K elements, in float64.

    correction: 1 is unbiased for a sample, 0 is the variance of the elements themselves. Default None: 1, as
    torch.var, but 0 where ``axis`` is given, as numpy.var. NumPy's name for it, ddof, and torch's older unbiased=True
    or False are taken too. nan where K <= correction. keepdim as sum, errors as mean.

    >>> import fastnn as fnn
    >>> float(fnn.ops.var([1.0, 2.0, 3.0])), round(float(fnn.ops.var([1.0, 2.0, 3.0], axis=0)), 4)
    (1.0, 0.6667)
    """
    return _spread("var", x, dim, correction, keepdim, axis, keepdims, ddof, unbiased)


@op(shape=partial(reduced, "std"), run=_spread_run("std", root=True), floats=1)
def std(
    x: Any,
    dim: Any = None,
    correction: float | None = None,
    keepdim: bool = False,
    *,
    axis: Any = NOT_GIVEN,
    keepdims: bool = False,
    ddof: float | None = None,
    unbiased: bool | None = None,
) -> Normal:
    """Standard deviation over ``dim``, or ``axis``: the square root of var, with the same arguments.

    The gradient is 0 where all elements are equal, as in torch.

    >>> import fastnn as fnn
    >>> float(fnn.ops.std([1.0, 2.0, 3.0]))
    1.0
    """
    return _spread("std", x, dim, correction, keepdim, axis, keepdims, ddof, unbiased)
