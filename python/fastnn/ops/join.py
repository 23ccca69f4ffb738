"""Ops that join arrays or take them apart; integers and bool keep their dtype."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.arrays import FloatArray, as_float32, as_numbers, positive_int
from fastnn.ops.checks import integer, kept, one_axis
from fastnn.ops.op import Normal, Shape, op
from fastnn.tape import Backward

Need = Sequence[bool]
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


def _joint(*dtypes: Any) -> Any:
    """The dtype of what is joined."""
    return np.result_type(*dtypes)


def _check_shapes(shapes: Sequence[Shape], op: str, axis: int | None) -> None:
    """All shapes must agree, except along ``axis``."""
    first = shapes[0]
    for i, shape in enumerate(shapes):
        if shape == first:
            continue
        if len(shape) != len(first) or any(n != first[k] for k, n in enumerate(shape) if k != axis):
            elsewhere = "" if axis is None else f" elsewhere than in dim {axis}"
            raise ValueError(f"{op}: tensors[{i}] has shape {shape}, which differs from {first}{elsewhere}")


def _along(axis: int, start: int, stop: int) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, slice(start, stop)) if axis else (slice(start, stop),)


def _concatenate_shape(*shapes: Shape, dim: int) -> Shape:
    first = shapes[0]
    axis = one_axis(dim, len(first), "concatenate", "dim")
    _check_shapes(shapes, "concatenate", axis)
    return (*first[:axis], sum([shape[axis] for shape in shapes]), *first[axis + 1 :])


def _concatenate_run(*arrays: FloatArray, need: Need, dim: int) -> Result:
    axis = one_axis(dim, arrays[0].ndim, "concatenate", "dim")
    y, sizes = np.concatenate(arrays, axis=axis), [x.shape[axis] for x in arrays]

    def backward(dy: FloatArray) -> list[FloatArray | None]:
        ends = itertools.accumulate(sizes)
        return [dy[_along(axis, e - n, e)] if w else None for e, n, w in zip(ends, sizes, need, strict=True)]

    return y, backward


@op(shape=_concatenate_shape, run=_concatenate_run, outputs=_joint)
def _concatenate(*parts: Any, dim: int) -> Normal:
    """concatenate, the arrays one by one."""
    return numbers(parts, "concatenate"), {"dim": integer(dim, "concatenate", "dim")}


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


def _stack_shape(*shapes: Shape, dim: int) -> Shape:
    _check_shapes(shapes, "stack", None)
    axis = one_axis(dim, len(shapes[0]) + 1, "stack", "dim")
    return (*shapes[0][:axis], len(shapes), *shapes[0][axis:])


def _stack_run(*arrays: FloatArray, need: Need, dim: int) -> Result:
    _check_shapes([x.shape for x in arrays], "stack", None)
    axis = one_axis(dim, arrays[0].ndim + 1, "stack", "dim")

    def backward(dy: FloatArray) -> list[FloatArray | None]:
        return [part if wanted else None for part, wanted in zip(np.moveaxis(dy, axis, 0), need, strict=True)]

    place = (slice(None),) * axis + (None,)
    return np.concatenate([x[place] for x in arrays], axis=axis), backward


@op(shape=_stack_shape, run=_stack_run, outputs=_joint)
def _stack(*parts: Any, dim: int) -> Normal:
    """stack, the arrays one by one."""
    return numbers(parts, "stack"), {"dim": integer(dim, "stack", "dim")}


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


def _sizes(op: str, x: Shape, split_size: int | tuple[int, ...], dim: int) -> tuple[list[int], int]:
    """The sizes of the pieces, and the axis that is cut."""
    axis = one_axis(dim, len(x), op, "dim")
    length = x[axis]
    if isinstance(split_size, tuple):
        if sum(split_size) != length:
            raise ValueError(
                f"{op}: sizes {list(split_size)} add up to {sum(split_size)}, but x {x} has {length} in dim {axis}"
            )
        return list(split_size), axis
    return [min(split_size, length - start) for start in range(0, length, split_size)] or [0], axis


def _chunk_sizes(x: Shape, chunks: int, dim: int) -> tuple[list[int], int]:
    axis = one_axis(dim, len(x), "chunk", "dim")
    return _sizes("chunk", x, -(-x[axis] // chunks) or 1, axis)


def _pieces_shape(x: Shape, sizes: list[int], axis: int) -> list[Shape]:
    return [(*x[:axis], n, *x[axis + 1 :]) for n in sizes]


def _pieces(x: FloatArray, sizes: list[int], axis: int) -> Results:
    x_shape, places, end = x.shape, list[tuple[slice, ...]](), 0
    for n in sizes:
        places.append(_along(axis, end, end := end + n))

    def backward(*dys: FloatArray | None) -> tuple[FloatArray]:
        dx = np.zeros(x_shape, np.float32)
        for place, dy in zip(places, dys, strict=True):
            if dy is not None:
                dx[place] = dy
        return (dx,)

    return tuple([x[place] for place in places]), backward


def _split_shape(x: Shape, *, split_size: int | tuple[int, ...], dim: int) -> list[Shape]:
    return _pieces_shape(x, *_sizes("split", x, split_size, dim))


def _split_run(x: FloatArray, *, need: Need, split_size: int | tuple[int, ...], dim: int) -> Results:
    return _pieces(x, *_sizes("split", x.shape, split_size, dim))


@op(shape=_split_shape, run=_split_run, outputs=kept)
def split(x: Any, split_size: int | Sequence[int], dim: int = 0) -> Normal:
    """Cuts x along axis ``dim`` into pieces of ``split_size``, the last one perhaps smaller, or of the sizes listed.

    Returns a tuple of views. Raises ValueError when the sizes listed do not add up to that of x.

    >>> import numpy as np, fastnn as fnn
    >>> [part.shape for part in fnn.ops.split(np.zeros((5, 2)), 2)]
    [(2, 2), (2, 2), (1, 2)]
    """
    sizes: Any
    if isinstance(split_size, (tuple, list)):
        sizes = tuple([positive_int(n, "split", "split_size", minimum=0) for n in split_size])
    else:
        sizes = positive_int(split_size, "split", "split_size")
    return (as_numbers(x, "split", "x"),), {"split_size": sizes, "dim": integer(dim, "split", "dim")}


def _chunk_shape(x: Shape, *, chunks: int, dim: int) -> list[Shape]:
    return _pieces_shape(x, *_chunk_sizes(x, chunks, dim))


def _chunk_run(x: FloatArray, *, need: Need, chunks: int, dim: int) -> Results:
    return _pieces(x, *_chunk_sizes(x.shape, chunks, dim))


@op(shape=_chunk_shape, run=_chunk_run, outputs=kept)
def chunk(x: Any, chunks: int, dim: int = 0) -> Normal:
    """Cuts x along axis ``dim`` into at most ``chunks`` pieces of one size, the last one perhaps smaller; views.

    >>> import numpy as np, fastnn as fnn
    >>> [part.shape for part in fnn.ops.chunk(np.zeros((5, 2)), 2)]
    [(3, 2), (2, 2)]
    """
    count = positive_int(chunks, "chunk", "chunks")
    return (as_numbers(x, "chunk", "x"),), {"chunks": count, "dim": integer(dim, "chunk", "dim")}


def _unbind_shape(x: Shape, *, dim: int) -> list[Shape]:
    axis = one_axis(dim, len(x), "unbind", "dim")
    return [(*x[:axis], *x[axis + 1 :])] * x[axis]


def _unbind_run(x: FloatArray, *, need: Need, dim: int) -> Results:
    axis, x_shape = one_axis(dim, x.ndim, "unbind", "dim"), x.shape

    def backward(*dys: FloatArray | None) -> tuple[FloatArray]:
        dx = np.zeros(x_shape, np.float32)
        for part, dy in zip(np.moveaxis(dx, axis, 0), dys, strict=True):
            if dy is not None:
                part[...] = dy
        return (dx,)

    return tuple([np.moveaxis(x, axis, 0)[i, ...] for i in range(x_shape[axis])]), backward


@op(shape=_unbind_shape, run=_unbind_run, outputs=kept)
def unbind(x: Any, dim: int = 0) -> Normal:
    """The parts of x along axis ``dim``, without that axis; a tuple of views. So a Tensor is iterated over.

    >>> import fastnn as fnn
    >>> fnn.ops.unbind([[1.0, 2.0], [3.0, 4.0]])
    (array([1., 2.], dtype=float32), array([3., 4.], dtype=float32))
    """
    return (as_numbers(x, "unbind", "x"),), {"dim": integer(dim, "unbind", "dim")}


cat = concatenate
