"""Ops that join arrays, take them apart, or pick elements; integers and bool keep their dtype."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32, as_numbers, positive_int
from fastnn.op import op
from fastnn.ops.reduction import one_axis
from fastnn.tape import Backward

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


def _is_basic(part: Any) -> bool:
    """Whether a part of a key is none of those that make NumPy pick elements one by one."""
    return part is None or part is Ellipsis or isinstance(part, (int, slice, np.bool_, np.integer))


def _picks_once(part: Any) -> bool:
    """Whether a part of a key can name no element twice."""
    return _is_basic(part) or np.asarray(part).dtype == np.bool_


def _axes_of(part: Any) -> int:
    """How many axes of the array a part of a key speaks of."""
    if part is None or part is Ellipsis or isinstance(part, (bool, np.bool_)):
        return 0
    array = None if _is_basic(part) else np.asarray(part)
    return array.ndim if array is not None and array.dtype == np.bool_ else 1


def _picked_rows(shape: tuple[int, ...], parts: tuple[Any, ...]) -> tuple[npt.NDArray[np.int64], int, int]:
    """The rows that a key picks, in order, of an array seen as (rows, width): width are the last axes, left whole."""
    named = sum(_axes_of(part) for part in parts)
    at = next((i for i, part in enumerate(parts) if part is Ellipsis), len(parts))
    parts = (*parts[:at], *(slice(None),) * (len(shape) - named), *parts[at + 1 :])
    lead = len(shape)
    while parts and isinstance(parts[-1], slice) and parts[-1] == slice(None):
        parts, lead = parts[:-1], lead - 1
    rows = np.zeros((), np.int64)
    for axis in range(lead):  # the number of every row in turn, without an array of them all
        numbers = np.arange(shape[axis]).reshape(-1, *(1,) * (lead - 1 - axis))
        rows = rows * shape[axis] + np.broadcast_to(numbers, shape[:lead])[parts]
    return np.ascontiguousarray(rows).reshape(-1), math.prod(shape[:lead]), math.prod(shape[lead:])


@op
def index(x: Any, key: Any, *, need: list[bool]) -> Result:
    """x[key], with anything NumPy accepts as a key: integers, slices, None, ..., arrays of integers or bool.

    A view where NumPy gives one. An element picked several times gets the sum of the gradients, added in float32 in the
    order of the picks, on any number of threads. Raises IndexError.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.index(np.arange(4.0), [0, 0, 3])
    array([0., 0., 3.], dtype=float32)
    """
    x = as_numbers(x, "index", "x")
    parts = key if isinstance(key, tuple) else (key,)
    try:
        x_shape, y = x.shape, np.asarray(x[key])
    except IndexError as error:
        raise IndexError(f"index: x has shape {x.shape}, and the key does not fit it: {error}") from None
    # What the gradient needs of the key is taken now: its arrays may have changed by then.
    if not need[0] or all(_picks_once(part) for part in parts):
        places = tuple(part if _is_basic(part) else np.array(part) for part in parts)

        def backward(dy: FloatArray) -> tuple[FloatArray]:
            dx = np.zeros(x_shape, np.float32)
            dx[places] = dy
            return (dx,)

        return y, backward
    numbers, rows, width = _picked_rows(x_shape, parts)

    def backward_picked(dy: FloatArray) -> tuple[FloatArray]:
        if width != 1:
            dy = np.ascontiguousarray(dy, np.float32).reshape(numbers.size, width)
            return (_core.embedding_backward(numbers, dy, rows, -1).reshape(x_shape),)
        dx = np.zeros(rows, np.float32)
        np.add.at(dx, numbers, dy.reshape(-1))  # fast in one dimension only
        return (dx.reshape(x_shape),)

    return y, backward_picked


cat = concatenate
