"""Ops that move elements and compute nothing. Results are views of x wherever NumPy can make one; integers and bool
keep their dtype."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_numbers, channels_first, channels_last, is_channels_last
from fastnn.ops.broadcast import new, sum_to
from fastnn.ops.checks import integer, kept, one_axis
from fastnn.ops.op import Normal, Shape, op
from fastnn.tape import Backward

Need = Sequence[bool]
Result = tuple[FloatArray, Backward]


def _ravelled(x: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """x in C order with another shape: a view of a C-contiguous x, a copy of any other."""
    if x.ndim == 4 and x.dtype == np.float32 and is_channels_last(x):
        x = channels_first(x)
    if x.flags.c_contiguous or x.dtype != np.float32:
        return x.reshape(shape)
    y = new(shape)
    np.copyto(y.reshape(x.shape), x)
    return y


def _reshaped(x: FloatArray, shape: tuple[int, ...]) -> Result:
    x_shape, last = x.shape, x.ndim == 4 and not x.flags.c_contiguous and is_channels_last(x)

    def backward(dy: FloatArray) -> tuple[FloatArray, ...]:
        dx = _ravelled(dy, x_shape)
        return (channels_last(dx) if last else dx,)  # the op before x wants its gradient as x was

    return _ravelled(x, shape), backward


def _reshape_shape(x: Shape, *, shape: Shape) -> Shape:
    size, sizes = math.prod(x), shape
    if -1 in shape:
        known = math.prod([n for n in shape if n != -1])
        if shape.count(-1) == 1 and known > 0 and size % known == 0:
            sizes = tuple([size // known if n == -1 else n for n in shape])
    if math.prod(sizes) != size or (sizes and min(sizes) < 0):
        raise ValueError(f"reshape: x of shape {x} has {size} elements, which do not fit shape {shape}")
    return sizes


def _reshape_run(x: FloatArray, *, need: Need, shape: Shape) -> Result:
    return _reshaped(x, _reshape_shape(x.shape, shape=shape))


@op(shape=_reshape_shape, run=_reshape_run, outputs=kept)
def reshape(x: Any, shape: Any) -> Normal:
    """The elements of x, in C order, in another shape; one size may be -1. Raises ValueError if they do not fit.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.reshape(np.zeros((2, 3, 4)), (2, -1)).shape
    (2, 12)
    """
    sizes = tuple(map(int, shape)) if isinstance(shape, (tuple, list)) else (int(shape),)
    return (as_numbers(x, "reshape", "x"),), {"shape": sizes}


def _flatten_shape(x: Shape, *, start_dim: int, end_dim: int) -> Shape:
    if not x:
        return (1,)
    first, last = one_axis(start_dim, len(x), "flatten", "start_dim"), one_axis(end_dim, len(x), "flatten", "end_dim")
    if first > last:
        raise ValueError(f"flatten: start_dim={start_dim} comes after end_dim={end_dim} in x of shape {x}")
    return (*x[:first], math.prod(x[first : last + 1]), *x[last + 1 :])


def _flatten_run(x: FloatArray, *, need: Need, start_dim: int, end_dim: int) -> Result:
    return _reshaped(x, _flatten_shape(x.shape, start_dim=start_dim, end_dim=end_dim))


@op(shape=_flatten_shape, run=_flatten_run, outputs=kept)
def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Normal:
    """Makes one axis of the axes start_dim to end_dim, in C order: (N, C, H, W) -> (N, C * H * W) for start_dim=1.

    Channels-last images come out in the order (C, H, W) as well. Raises ValueError when there are no such axes.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.flatten(np.zeros((2, 3, 4)), 1).shape
    (2, 12)
    """
    start, end = integer(start_dim, "flatten", "start_dim"), integer(end_dim, "flatten", "end_dim")
    return (as_numbers(x, "flatten", "x"),), {"start_dim": start, "end_dim": end}


def _permute_shape(x: Shape, *, dims: Shape) -> Shape:
    order = [one_axis(d, len(x), "permute", "dims") for d in dims]
    if sorted(order) != list(range(len(x))):
        raise ValueError(f"permute: dims {dims} do not name each axis of x {x} once")
    return tuple([x[i] for i in order])


def _permute_run(x: FloatArray, *, need: Need, dims: Shape) -> Result:
    def backward(dy: FloatArray) -> tuple[FloatArray]:
        return (dy.transpose(np.argsort([d % len(dims) for d in dims])),)

    return (x if not dims and not x.ndim else x.transpose(dims)), backward


@op(shape=_permute_shape, run=_permute_run, outputs=kept)
def permute(x: Any, dims: Sequence[int]) -> Normal:
    """x with its axes in the order ``dims``, a view.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.permute(np.zeros((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    order = tuple([integer(d, "permute", "dims") for d in dims])
    return (as_numbers(x, "permute", "x"),), {"dims": order}


def _transpose_shape(x: Shape, *, dim0: int, dim1: int) -> Shape:
    a, b = one_axis(dim0, len(x), "transpose", "dim0"), one_axis(dim1, len(x), "transpose", "dim1")
    sizes = list(x)
    sizes[a], sizes[b] = x[b], x[a]
    return tuple(sizes)


def _transpose_run(x: FloatArray, *, need: Need, dim0: int, dim1: int) -> Result:
    return x.swapaxes(dim0, dim1), lambda dy: (dy.swapaxes(dim0, dim1),)


@op(shape=_transpose_shape, run=_transpose_run, outputs=kept)
def transpose(x: Any, dim0: int, dim1: int) -> Normal:
    """x with two axes exchanged, a view.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.transpose(np.zeros((2, 3, 4)), 1, 2).shape
    (2, 4, 3)
    """
    a, b = integer(dim0, "transpose", "dim0"), integer(dim1, "transpose", "dim1")
    return (as_numbers(x, "transpose", "x"),), {"dim0": a, "dim1": b}


def _squeeze_shape(x: Shape, *, dim: int | None) -> Shape:
    axis = None if dim is None else one_axis(dim, len(x), "squeeze", "dim")
    return tuple([n for i, n in enumerate(x) if n != 1 or axis not in (None, i)])


def _squeeze_run(x: FloatArray, *, need: Need, dim: int | None) -> Result:
    x_shape = x.shape
    return x.reshape(_squeeze_shape(x_shape, dim=dim)), lambda dy: (dy.reshape(x_shape),)


@op(shape=_squeeze_shape, run=_squeeze_run, outputs=kept)
def squeeze(x: Any, dim: int | None = None) -> Normal:
    """x without its axes of size 1, or without axis ``dim`` if that has size 1 (else x as it is). A view.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.squeeze(np.zeros((2, 1, 3))).shape
    (2, 3)
    """
    return (as_numbers(x, "squeeze", "x"),), {"dim": None if dim is None else integer(dim, "squeeze", "dim")}


def _unsqueeze_shape(x: Shape, *, dim: int) -> Shape:
    axis = one_axis(dim, len(x) + 1, "unsqueeze", "dim")
    return (*x[:axis], 1, *x[axis:])


def _unsqueeze_run(x: FloatArray, *, need: Need, dim: int) -> Result:
    x_shape = x.shape
    return x.reshape(_unsqueeze_shape(x_shape, dim=dim)), lambda dy: (dy.reshape(x_shape),)


@op(shape=_unsqueeze_shape, run=_unsqueeze_run, outputs=kept)
def unsqueeze(x: Any, dim: int) -> Normal:
    """x with a new axis of size 1 at ``dim``, a view.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.unsqueeze(np.zeros((2, 3)), -1).shape
    (2, 3, 1)
    """
    return (as_numbers(x, "unsqueeze", "x"),), {"dim": integer(dim, "unsqueeze", "dim")}


def _broadcast_to_shape(x: Shape, *, shape: Shape) -> Shape:
    extra = len(shape) - len(x)
    sizes = tuple([x[i - extra] if n == -1 and i >= extra >= 0 else n for i, n in enumerate(shape)])
    if (
        extra < 0
        or any([n < 0 for n in sizes])
        or any([a not in (1, n) for a, n in zip(x, sizes[extra:], strict=True)])
    ):
        raise ValueError(f"broadcast_to: x of shape {x} does not broadcast to {shape}")
    return sizes


def _broadcast_to_run(x: FloatArray, *, need: Need, shape: Shape) -> Result:
    x_shape, extra, sizes = x.shape, len(shape) - x.ndim, shape
    if -1 in shape:
        sizes = tuple([x_shape[i - extra] if n == -1 and i >= extra >= 0 else n for i, n in enumerate(shape)])
    y = _core.broadcast_to(x, sizes)
    if y is None:
        raise ValueError("broadcast_to: x does not broadcast")
    return y, lambda dy: (sum_to(dy, x_shape),)


@op(shape=_broadcast_to_shape, run=_broadcast_to_run, outputs=kept)
def broadcast_to(x: Any, shape: Sequence[int]) -> Normal:
    """x repeated to ``shape`` without a copy; a size of -1 keeps that of x. Raises ValueError where NumPy would.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.broadcast_to(np.zeros((2, 1)), (4, -1, 3)).shape
    (4, 2, 3)
    """
    return (as_numbers(x, "broadcast_to", "x"),), {"shape": tuple(map(int, shape))}
