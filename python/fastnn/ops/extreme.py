"""The largest and the smallest: what they are, and where they lie."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn.arrays import FloatArray, as_numbers
from fastnn.op import op
from fastnn.ops.reduction import NOT_GIVEN, Axis, Result, axis_and_keep, one_axis, rows_of
from fastnn.tensor import Tensor


class Extremes(NamedTuple):
    """What max and min give along a dim: the values, with a gradient, and where they lie, int64."""

    values: Any
    indices: npt.NDArray[np.int64]


@op
def _extreme(x: Any, name: str, axis: Axis, keepdims: bool, *, need: list[bool]) -> Result:
    """max or min; equal elements share the gradient, as in torch.max(x) and torch.amax."""
    x = as_numbers(x, name, "x")
    r = rows_of(x.shape, axis, keepdims, name)
    if not r.length:
        raise ValueError(f"{name}: x has shape {x.shape}, nothing to choose from over axis {axis}")
    choose = np.maximum if name == "max" else np.minimum
    y = np.asarray(choose.reduce(x, axis=r.axes))

    def backward(dy: FloatArray) -> tuple[FloatArray]:
        best = y.reshape(r.kept_shape)
        chosen = (x == best) | (np.isnan(x) & np.isnan(best))
        count = np.add.reduce(chosen, axis=r.axes, dtype=np.float32, keepdims=True)
        return (chosen * (dy.reshape(r.kept_shape) / count),)

    return y.reshape(r.y_shape), backward


@op
def _extreme_at(x: Any, indices: Any, name: str, axis: int, keepdims: bool, *, need: list[bool]) -> Result:
    """max or min of every line along ``axis``, which lies at ``indices`` (with that axis of size 1)."""
    shape = x.shape
    choose: Any = np.maximum if name == "max" else np.minimum
    y = np.asarray(choose.reduce(x, axis=axis, keepdims=keepdims))

    def backward(dy: FloatArray) -> tuple[FloatArray]:
        dx = np.zeros(shape, np.float32)
        np.put_along_axis(dx, indices, dy.reshape(indices.shape), axis)
        return (dx,)

    return y, backward


def _extremes(name: str, x: Any, dim: Any, keepdim: bool, axis: Any, keepdims: bool) -> Any:
    if isinstance(dim, (Tensor, np.ndarray)):
        raise TypeError(f"{name}: dim is an array; write {name}imum(x, y) for the larger or smaller of two")
    if axis is not NOT_GIVEN or dim is None:
        axis, keep = axis_and_keep(name, dim, keepdim, axis, keepdims)
        return _extreme(x, name, axis, keep)
    if isinstance(dim, (tuple, list)):
        raise TypeError(f"{name}: dim is {dim}, expected an integer; write axis={tuple(dim)} for values only")
    if not isinstance(x, Tensor):
        x = as_numbers(x, name, "x")
    where = (argmax if name == "max" else argmin)(x, dim, True)
    keep = keepdim or keepdims
    values = _extreme_at(x, where, name, one_axis(dim, x.ndim, name, "dim"), keep)
    return Extremes(values, where if keep else where.squeeze(dim))


def max(x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = NOT_GIVEN, keepdims: bool = False) -> Any:
    """Largest element, of all or along one axis; nan where one is nan.

    ``max(x)`` is a value; ``max(x, dim)``, as in torch, the pair (values, indices) of the first largest, which gets the
    gradient; ``max(x, axis=axis)``, as in NumPy, the values alone, with ``axis`` as in sum. Without indices, equal
    elements share the gradient. keepdim and errors as sum; also ValueError where there is no element.

    >>> import fastnn as fnn
    >>> fnn.ops.max([[1.0, 5.0], [7.0, 3.0]], axis=1)
    array([5., 7.], dtype=float32)
    >>> values, indices = fnn.ops.max([[1.0, 5.0], [7.0, 3.0]], 1)
    >>> indices
    array([1, 0])
    """
    return _extremes("max", x, dim, keepdim, axis, keepdims)


def min(x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = NOT_GIVEN, keepdims: bool = False) -> Any:
    """Smallest element, of all or along one axis, as max.

    >>> import fastnn as fnn
    >>> fnn.ops.min([[1.0, 5.0], [7.0, 3.0]], axis=1)
    array([1., 3.], dtype=float32)
    """
    return _extremes("min", x, dim, keepdim, axis, keepdims)


def _place(name: str, x: Any, dim: Any, keepdim: bool, axis: Any, keepdims: bool) -> npt.NDArray[np.int64]:
    x = as_numbers(x._array if isinstance(x, Tensor) else x, name, "x")
    axis, keep = axis_and_keep(name, dim, keepdim, axis, keepdims)
    if axis is not None:
        axis = one_axis(axis, x.ndim, name)
    if not (x.size if axis is None else x.shape[axis]):
        raise ValueError(f"{name}: x has shape {x.shape}, nothing to choose from over axis {axis}")
    return np.asarray((np.argmax if name == "argmax" else np.argmin)(x, axis=axis, keepdims=keep))


def argmax(
    x: Any, dim: int | None = None, keepdim: bool = False, *, axis: Any = NOT_GIVEN, keepdims: bool = False
) -> npt.NDArray[np.int64]:
    """Where the first largest element lies along ``dim`` or ``axis`` (None: in the flattened array); no gradient.

    >>> import fastnn as fnn
    >>> fnn.ops.argmax([[1.0, 5.0], [7.0, 3.0]], axis=1)
    array([1, 0])
    """
    return _place("argmax", x, dim, keepdim, axis, keepdims)


def argmin(
    x: Any, dim: int | None = None, keepdim: bool = False, *, axis: Any = NOT_GIVEN, keepdims: bool = False
) -> npt.NDArray[np.int64]:
    """Where the first smallest element lies, as argmax.

    >>> import fastnn as fnn
    >>> fnn.ops.argmin([[1.0, 5.0], [7.0, 3.0]], axis=1)
    array([0, 1])
    """
    return _place("argmin", x, dim, keepdim, axis, keepdims)
