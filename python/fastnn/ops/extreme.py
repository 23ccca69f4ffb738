"""The largest and the smallest: what they are, and where they lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastnn.arrays import FloatArray, as_indices, as_numbers
from fastnn.ops.checks import integer, kept, one_axis
from fastnn.ops.op import Normal, Op, Shape, op
from fastnn.ops.reduction import NOT_GIVEN, Axis, axis_and_keep, reduced, rows_of
from fastnn.tape import Backward, mode
from fastnn.value import Tensor, wrapped

Need = Sequence[bool]
IntArray = npt.NDArray[np.int64]


class Extremes(NamedTuple):
    """What max and min give along a dim: the values, with a gradient, and where they lie, int64."""

    values: Any
    indices: Any


def _shape(name: str, x: Shape, *, axis: Axis, keepdims: bool) -> Shape:
    if not rows_of(x, axis, keepdims, name).length:
        raise ValueError(f"{name}: x has shape {x}, nothing to choose from over axis {axis}")
    return reduced(name, x, axis=axis, keepdims=keepdims)


def _run(name: str, choose: np.ufunc) -> Callable[..., tuple[FloatArray, Backward]]:
    def run(x: FloatArray, *, need: Need, axis: Axis, keepdims: bool) -> tuple[FloatArray, Backward]:
        """Equal elements share the gradient, as in torch.max(x) and torch.amax."""
        r = rows_of(x.shape, axis, keepdims, name)
        y = np.asarray(choose.reduce(x, axis=r.axes))

        def backward(dy: FloatArray) -> tuple[FloatArray]:
            best = y.reshape(r.kept_shape)
            chosen = (x == best) | (np.isnan(x) & np.isnan(best))
            count = np.add.reduce(chosen, axis=r.axes, dtype=np.float32, keepdims=True)
            return (chosen * (dy.reshape(r.kept_shape) / count),)

        return y.reshape(r.y_shape), backward

    return run


@op(shape=partial(_shape, "max"), run=_run("max", np.maximum), outputs=kept)
def _amax(x: Any, axis: Axis, keepdims: bool) -> Normal:
    """max over some axes or all."""
    return (as_numbers(x, "max", "x"),), {"axis": axis, "keepdims": keepdims}


@op(shape=partial(_shape, "min"), run=_run("min", np.minimum), outputs=kept)
def _amin(x: Any, axis: Axis, keepdims: bool) -> Normal:
    """min over some axes or all."""
    return (as_numbers(x, "min", "x"),), {"axis": axis, "keepdims": keepdims}


def _shape_at(name: str, x: Shape, indices: Shape, *, axis: int, keepdims: bool) -> Shape:
    y = _shape(name, x, axis=one_axis(axis, len(x), name, "dim"), keepdims=keepdims)
    if indices != y:
        raise ValueError(f"{name}: indices have shape {indices}, expected {y} for x {x}")
    return y


def _run_at(choose: np.ufunc) -> Callable[..., tuple[FloatArray, Backward]]:
    def run(x: FloatArray, indices: IntArray, *, need: Need, axis: int, keepdims: bool) -> tuple[FloatArray, Backward]:
        shape: Any = x.shape
        y = np.asarray(choose.reduce(x, axis=axis, keepdims=keepdims))
        if indices.shape != y.shape:
            raise ValueError("indices do not fit")

        def backward(dy: FloatArray) -> tuple[FloatArray]:
            dx, lines = np.zeros(shape, np.float32), list(shape)
            lines[axis] = 1
            np.put_along_axis(dx, indices.reshape(lines), dy.reshape(lines), axis)
            return (dx,)

        return y, backward

    return run


@op(shape=partial(_shape_at, "max"), run=_run_at(np.maximum), outputs=kept)
def _max_at(x: Any, indices: Any, axis: int, keepdims: bool) -> Normal:
    """max of every line along ``axis``, which lies at ``indices``, of the shape of the result."""
    return (as_numbers(x, "max", "x"), as_indices(indices, "max", "indices")), {"axis": axis, "keepdims": keepdims}


@op(shape=partial(_shape_at, "min"), run=_run_at(np.minimum), outputs=kept)
def _min_at(x: Any, indices: Any, axis: int, keepdims: bool) -> Normal:
    """min of every line along ``axis``, which lies at ``indices``, of the shape of the result."""
    return (as_numbers(x, "min", "x"), as_indices(indices, "min", "indices")), {"axis": axis, "keepdims": keepdims}


def _extremes(name: str, over: Op[Any], at: Op[Any], x: Any, dim: Any, keepdim: bool, axis: Any, keepdims: bool) -> Any:
    if isinstance(dim, (Tensor, np.ndarray)):
        raise TypeError(f"{name}: dim is an array; write {name}imum(x, y) for the larger or smaller of two")
    if axis is not NOT_GIVEN or dim is None:
        attributes = axis_and_keep(name, dim, keepdim, axis, keepdims)
        return over(x, attributes["axis"], attributes["keepdims"])
    if isinstance(dim, (tuple, list)):
        raise TypeError(f"{name}: dim is {dim}, expected an integer; write axis={tuple(dim)} for values only")
    dim, keep = integer(dim, name, "dim"), bool(keepdim or keepdims)
    if not isinstance(x, Tensor):
        x = as_numbers(x, name, "x")
    one_axis(dim, x.ndim, name, "dim")
    place = argmax if name == "max" else argmin
    if isinstance(x, Tensor) and mode.recorder is None:  # the short way
        places = place(x._array, dim, keep)
        return Extremes(at(x, places, dim, keep), wrapped(places))
    where = place(x, dim, keep)
    return Extremes(at(x, where, dim, keep), where)


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
    return _extremes("max", _amax, _max_at, x, dim, keepdim, axis, keepdims)


def min(x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = NOT_GIVEN, keepdims: bool = False) -> Any:
    """Smallest element, of all or along one axis, as max.

    >>> import fastnn as fnn
    >>> fnn.ops.min([[1.0, 5.0], [7.0, 3.0]], axis=1)
    array([1., 3.], dtype=float32)
    """
    return _extremes("min", _amin, _min_at, x, dim, keepdim, axis, keepdims)


def _place_shape(name: str, x: Shape, *, axis: int | None, keepdims: bool) -> Shape:
    where = None if axis is None else one_axis(axis, len(x), name, "dim, or axis,")
    if not (0 not in x if where is None else x[where]):
        raise ValueError(f"{name}: x has shape {x}, nothing to choose from over axis {axis}")
    return reduced(name, x, axis=axis, keepdims=keepdims)


def _place_run(method: Callable[..., Any]) -> Callable[..., tuple[IntArray, None]]:
    def run(x: FloatArray, *, need: Need, axis: int | None, keepdims: bool) -> tuple[IntArray, None]:
        return np.asarray(method(x, axis, keepdims=keepdims)), None

    return run


def _place(name: str, x: Any, dim: Any, keepdim: bool, axis: Any, keepdims: bool) -> Normal:
    attributes = axis_and_keep(name, dim, keepdim, axis, keepdims)
    if attributes["axis"] is not None:
        integer(attributes["axis"], name, "axis")
    return (as_numbers(x, name, "x"),), attributes


@op(shape=partial(_place_shape, "argmax"), run=_place_run(np.ndarray.argmax), outputs="int64")
def argmax(
    x: Any, dim: int | None = None, keepdim: bool = False, *, axis: Any = NOT_GIVEN, keepdims: bool = False
) -> Normal:
    """Where the first largest element lies along ``dim`` or ``axis`` (None: in the flattened array); no gradient.

    >>> import fastnn as fnn
    >>> fnn.ops.argmax([[1.0, 5.0], [7.0, 3.0]], axis=1)
    array([1, 0])
    """
    return _place("argmax", x, dim, keepdim, axis, keepdims)


@op(shape=partial(_place_shape, "argmin"), run=_place_run(np.ndarray.argmin), outputs="int64")
def argmin(
    x: Any, dim: int | None = None, keepdim: bool = False, *, axis: Any = NOT_GIVEN, keepdims: bool = False
) -> Normal:
    """Where the first smallest element lies, as argmax.

    >>> import fastnn as fnn
    >>> fnn.ops.argmin([[1.0, 5.0], [7.0, 3.0]], axis=1)
    array([0, 1])
    """
    return _place("argmin", x, dim, keepdim, axis, keepdims)
