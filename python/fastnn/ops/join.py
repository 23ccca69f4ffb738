"""Ops that join arrays, take them apart, or pick elements; integers and bool keep their dtype."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.arrays import FloatArray, as_float32, as_numbers, positive_int
from fastnn.ops.reduction import one_axis
from fastnn.tensor import Backward, op

Result = tuple[FloatArray, Backward]
Results = tuple[tuple[FloatArray, ...], Backward]


def numbers(parts: Sequence[Any], op: str, names: Sequence[str] | None = None) -> list[FloatArray]:
    """``parts`` as arrays of one kind: float32 if any of them is of floats, else integers or bool as they are."""
    for x in parts:
        if type(x) is not np.ndarray or x.dtype != np.float32 or not x.flags.aligned:
            break
    else:
        return list(parts)
    names = names or [f"tensors[{i}]" for i in range(len(parts))]
    arrays = [as_numbers(x, op, name) for x, name in zip(parts, names, strict=True)]
    if any(x.dtype.kind == "f" for x in arrays):
        return [as_float32(x, op, name) for x, name in zip(arrays, names, strict=True)]
    return arrays


def _check_shapes(arrays: list[FloatArray], op: str, axis: int | None) -> None:
    """All shapes must agree, except along ``axis``."""
    first = arrays[0].shape
    for i, x in enumerate(arrays):
        if x.shape == first:
            continue
        if x.ndim != len(first) or any(n != first[k] for k, n in enumerate(x.shape) if k != axis):
            elsewhere = "" if axis is None else f" elsewhere than in dim {axis}"
            raise ValueError(f"{op}: tensors[{i}] has shape {x.shape}, which differs from {first}{elsewhere}")


def _along(axis: int, start: int, stop: int) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, slice(start, stop))


@op
def _concatenate(*parts: Any, dim: int, need: list[bool]) -> Result:
    arrays = numbers(parts, "concatenate")
    axis = one_axis(dim, arrays[0].ndim, "concatenate", "dim")
    _check_shapes(arrays, "concatenate", axis)
    sizes = [x.shape[axis] for x in arrays]

    def backward(dy: FloatArray) -> list[FloatArray | None]:
        ends = itertools.accumulate(sizes)
        return [dy[_along(axis, e - n, e)] if w else None for e, n, w in zip(ends, sizes, need, strict=True)]

    return np.concatenate(arrays, axis=axis), backward


def concatenate(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Joins arrays along axis ``dim``; all other sizes must agree. Channels-last images give a channels-last image.

    Raises ValueError when shapes do not match or there is nothing to join. ``cat`` is the same.

    >>> import fastnn as fnn
    >>> fnn.ops.concatenate([[1.0], [2.0, 3.0]])
    array([1., 2., 3.], dtype=float32)
    """
    if not len(tensors):
        raise ValueError("concatenate: tensors is empty")
    return _concatenate(*tensors, dim=dim)


@op
def _stack(*parts: Any, dim: int, need: list[bool]) -> Result:
    arrays = numbers(parts, "stack")
    _check_shapes(arrays, "stack", None)
    axis = one_axis(dim, arrays[0].ndim + 1, "stack", "dim")

    def backward(dy: FloatArray) -> list[FloatArray | None]:
        return [part if wanted else None for part, wanted in zip(np.moveaxis(dy, axis, 0), need, strict=True)]

    place = (slice(None),) * axis + (None,)
    return np.concatenate([x[place] for x in arrays], axis=axis), backward


def stack(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Joins arrays of one shape along a new axis ``dim``. Raises as concatenate.

    >>> import fastnn as fnn
    >>> fnn.ops.stack([[1.0, 2.0], [3.0, 4.0]], dim=1)
    array([[1., 3.],
           [2., 4.]], dtype=float32)
    """
    if not len(tensors):
        raise ValueError("stack: tensors is empty")
    return _stack(*tensors, dim=dim)


def _pieces(x: FloatArray, sizes: list[int], axis: int) -> Results:
    places = [_along(axis, end - n, end) for end, n in zip(itertools.accumulate(sizes), sizes, strict=True)]
    x_shape = x.shape

    def backward(*dys: FloatArray | None) -> tuple[FloatArray]:
        dx = np.zeros(x_shape, np.float32)
        for place, dy in zip(places, dys, strict=True):
            if dy is not None:
                dx[place] = dy
        return (dx,)

    return tuple([x[place] for place in places]), backward


@op
def split(x: Any, split_size: int | Sequence[int], dim: int = 0, *, need: list[bool]) -> Results:
    """Cuts x along axis ``dim`` into pieces of ``split_size``, the last one perhaps smaller, or of the sizes listed.

    Returns a tuple of views. Raises ValueError when the sizes listed do not add up to that of x.

    >>> import numpy as np, fastnn as fnn
    >>> [part.shape for part in fnn.ops.split(np.zeros((5, 2)), 2)]
    [(2, 2), (2, 2), (1, 2)]
    """
    x = as_numbers(x, "split", "x")
    axis = one_axis(dim, x.ndim, "split", "dim")
    length = x.shape[axis]
    if isinstance(split_size, (tuple, list)):
        sizes = [positive_int(n, "split", "split_size", minimum=0) for n in split_size]
        if sum(sizes) != length:
            raise ValueError(f"split: sizes {sizes} add up to {sum(sizes)}, but x {x.shape} has {length} in dim {axis}")
    else:
        step = positive_int(split_size, "split", "split_size")
        sizes = [min(step, length - start) for start in range(0, length, step)] or [0]
    return _pieces(x, sizes, axis)


@op
def chunk(x: Any, chunks: int, dim: int = 0, *, need: list[bool]) -> Results:
    """Cuts x along axis ``dim`` into at most ``chunks`` pieces of one size, the last one perhaps smaller; views.

    >>> import numpy as np, fastnn as fnn
    >>> [part.shape for part in fnn.ops.chunk(np.zeros((5, 2)), 2)]
    [(3, 2), (2, 2)]
    """
    x = as_numbers(x, "chunk", "x")
    axis = one_axis(dim, x.ndim, "chunk", "dim")
    length = x.shape[axis]
    step = -(-length // positive_int(chunks, "chunk", "chunks")) or 1
    return _pieces(x, [min(step, length - start) for start in range(0, length, step)] or [0], axis)


@op
def unbind(x: Any, dim: int = 0, *, need: list[bool]) -> Results:
    """The parts of x along axis ``dim``, without that axis; a tuple of views. So a Tensor is iterated over.

    >>> import fastnn as fnn
    >>> fnn.ops.unbind([[1.0, 2.0], [3.0, 4.0]])
    (array([1., 2.], dtype=float32), array([3., 4.], dtype=float32))
    """
    x = as_numbers(x, "unbind", "x")
    axis, x_shape = one_axis(dim, x.ndim, "unbind", "dim"), x.shape

    def backward(*dys: FloatArray | None) -> tuple[FloatArray]:
        dx = np.zeros(x_shape, np.float32)
        for part, dy in zip(np.moveaxis(dx, axis, 0), dys, strict=True):
            if dy is not None:
                part[...] = dy
        return (dx,)

    return tuple(np.moveaxis(x, axis, 0)[i, ...] for i in range(x_shape[axis])), backward


def _picks_once(part: Any) -> bool:
    """Whether a part of an index can name no element twice."""
    return part is None or part is Ellipsis or isinstance(part, (int, slice, np.bool_, np.integer))


@op
def index(x: Any, key: Any, *, need: list[bool]) -> Result:
    """x[key], with anything NumPy accepts as a key: integers, slices, None, ..., arrays of integers or bool.

    A view where NumPy gives one. An element picked several times gets the sum of the gradients. Raises IndexError.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.index(np.arange(4.0), [0, 0, 3])
    array([0., 0., 3.], dtype=float32)
    """
    x = as_numbers(x, "index", "x")
    parts = key if isinstance(key, tuple) else (key,)
    once = all(_picks_once(part) or np.asarray(part).dtype == np.bool_ for part in parts)
    x_shape = x.shape

    def backward(dy: FloatArray) -> tuple[FloatArray]:
        dx = np.zeros(x_shape, np.float32)
        if once:
            dx[key] = dy
        else:
            np.add.at(dx, key, dy)
        return (dx,)

    return np.asarray(x[key]), backward


cat = concatenate
