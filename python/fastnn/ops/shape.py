"""Ops that move elements and compute nothing. Results are views of x wherever NumPy can make one; integers and bool
keep their dtype."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32, as_numbers, channels_first, channels_last, is_channels_last
from fastnn.op import op
from fastnn.ops.broadcast import new, sum_to
from fastnn.ops.reduction import one_axis
from fastnn.tape import Backward

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


@op
def reshape(x: Any, shape: Any, *, need: list[bool]) -> Result:
    """The elements of x, in C order, in another shape; one size may be -1. Raises ValueError if they do not fit.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.reshape(np.zeros((2, 3, 4)), (2, -1)).shape
    (2, 12)
    """
    x = as_numbers(x, "reshape", "x")
    sizes = [int(n) for n in shape] if isinstance(shape, (tuple, list)) else [int(shape)]
    wanted = list(sizes)
    known = math.prod([n for n in sizes if n != -1])
    if sizes.count(-1) == 1 and known > 0 and x.size % known == 0:
        sizes[sizes.index(-1)] = x.size // known
    if any(n < 0 for n in sizes) or math.prod(sizes) != x.size:
        raise ValueError(f"reshape: x of shape {x.shape} has {x.size} elements, which do not fit shape {tuple(wanted)}")
    return _reshaped(x, tuple(sizes))


@op
def flatten(x: Any, start_dim: int = 0, end_dim: int = -1, *, need: list[bool]) -> Result:
    """Makes one axis of the axes start_dim to end_dim, in C order: (N, C, H, W) -> (N, C * H * W) for start_dim=1.

    Channels-last images come out in the order (C, H, W) as well. Raises ValueError when there are no such axes.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.flatten(np.zeros((2, 3, 4)), 1).shape
    (2, 12)
    """
    x = as_numbers(x, "flatten", "x")
    if not x.ndim:
        return _reshaped(x, (1,))
    first, last = one_axis(start_dim, x.ndim, "flatten", "start_dim"), one_axis(end_dim, x.ndim, "flatten", "end_dim")
    if first > last:
        raise ValueError(f"flatten: start_dim={start_dim} comes after end_dim={end_dim} in x of shape {x.shape}")
    return _reshaped(x, (*x.shape[:first], math.prod(x.shape[first : last + 1]), *x.shape[last + 1 :]))


@op
def permute(x: Any, dims: Sequence[int], *, need: list[bool]) -> Result:
    """x with its axes in the order ``dims``, a view.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.permute(np.zeros((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    x = as_numbers(x, "permute", "x")
    order = [one_axis(d, x.ndim, "permute", "dims") for d in dims]
    if sorted(order) != list(range(x.ndim)):
        raise ValueError(f"permute: dims {tuple(dims)} do not name each axis of x {x.shape} once")
    return x.transpose(order), lambda dy: (dy.transpose(np.argsort(order)),)


@op
def transpose(x: Any, dim0: int, dim1: int, *, need: list[bool]) -> Result:
    """x with two axes exchanged, a view.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.transpose(np.zeros((2, 3, 4)), 1, 2).shape
    (2, 4, 3)
    """
    x = as_numbers(x, "transpose", "x")
    a, b = one_axis(dim0, x.ndim, "transpose", "dim0"), one_axis(dim1, x.ndim, "transpose", "dim1")
    return x.swapaxes(a, b), lambda dy: (dy.swapaxes(a, b),)


@op
def squeeze(x: Any, dim: int | None = None, *, need: list[bool]) -> Result:
    """x without its axes of size 1, or without axis ``dim`` if that has size 1 (else x as it is). A view.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.squeeze(np.zeros((2, 1, 3))).shape
    (2, 3)
    """
    x = as_numbers(x, "squeeze", "x")
    axes = range(x.ndim) if dim is None else [one_axis(dim, x.ndim, "squeeze", "dim")]
    x_shape = x.shape
    y = np.squeeze(x, axis=tuple([i for i in axes if x_shape[i] == 1]))
    return y, lambda dy: (dy.reshape(x_shape),)


@op
def unsqueeze(x: Any, dim: int, *, need: list[bool]) -> Result:
    """x with a new axis of size 1 at ``dim``, a view.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.unsqueeze(np.zeros((2, 3)), -1).shape
    (2, 3, 1)
    """
    x = as_numbers(x, "unsqueeze", "x")
    axis, x_shape = one_axis(dim, x.ndim + 1, "unsqueeze", "dim"), x.shape
    return x.reshape(*x_shape[:axis], 1, *x_shape[axis:]), lambda dy: (dy.reshape(x_shape),)


@op
def broadcast_to(x: Any, shape: Sequence[int], *, need: list[bool]) -> Result:
    """x repeated to ``shape`` without a copy; a size of -1 keeps that of x. Raises ValueError where NumPy would.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.broadcast_to(np.zeros((2, 1)), (4, -1, 3)).shape
    (4, 2, 3)
    """
    x = as_numbers(x, "broadcast_to", "x")
    x_shape, extra = x.shape, len(shape) - x.ndim
    sizes = [x_shape[i - extra] if n == -1 and i >= extra >= 0 else int(n) for i, n in enumerate(shape)]
    y = _core.broadcast_to(x, sizes)
    if y is None:
        raise ValueError(f"broadcast_to: x of shape {x_shape} does not broadcast to {tuple(shape)}")
    return y, lambda dy: (sum_to(dy, x_shape),)


@op
def repeat(x: Any, sizes: Sequence[int], *, need: list[bool]) -> Result:
    """x laid side by side, ``sizes[i]`` times along axis i, as torch's repeat (numpy.tile).

    Args:
        x: any shape.
        sizes: one number per axis, at least 0; more numbers than axes put new axes in front. An int is one number.

    Raises ValueError for fewer numbers than axes and for negative ones.

    >>> import fastnn as fnn
    >>> fnn.ops.repeat([1.0, 2.0], (2, 2))
    array([[1., 2., 1., 2.],
           [1., 2., 1., 2.]], dtype=float32)
    """
    x = as_numbers(x, "repeat", "x")
    given: Any = sizes if isinstance(sizes, (tuple, list)) else (sizes,)
    counts = tuple([int(n) for n in given])
    if len(counts) < x.ndim or any(n < 0 for n in counts):
        raise ValueError(f"repeat: sizes are {counts} for x of shape {x.shape}, expected at least {x.ndim}, all >= 0")
    inner = (1,) * (len(counts) - x.ndim) + x.shape
    each = tuple([n for pair in zip(counts, inner, strict=True) for n in pair])  # times, then the axis itself
    x_shape, copies = x.shape, tuple(range(0, 2 * len(counts), 2))
    y = np.tile(x, counts)

    def backward(dy: FloatArray) -> tuple[FloatArray]:
        return (np.add.reduce(dy.reshape(each), axis=copies, dtype=np.float64).astype(np.float32).reshape(x_shape),)

    return y, backward


@op
def flip(x: Any, dims: Any, *, need: list[bool]) -> Result:
    """x with the order of its elements reversed along one axis or several, a view.

    >>> import fastnn as fnn
    >>> fnn.ops.flip([1.0, 2.0, 3.0], 0)
    array([3., 2., 1.], dtype=float32)
    """
    x = as_numbers(x, "flip", "x")
    given = dims if isinstance(dims, (tuple, list)) else (dims,)
    axes = tuple([one_axis(d, x.ndim, "flip", "dims") for d in given])
    return np.flip(x, axes), lambda dy: (np.flip(dy, axes),)


@op
def pad(x: Any, pad: Sequence[int], mode: str = "constant", value: float = 0.0, *, need: list[bool]) -> Result:
    """Puts ``value`` around x.

    Args:
        x: any shape; channels-last images stay channels last.
        pad: elements before and after the last axis, then before and after the one before it, and so on, as in torch:
            (left, right, top, bottom) for images. At least 0.
        mode: "constant", the only one.
        value: default 0.

    >>> import fastnn as fnn
    >>> fnn.ops.pad([1.0, 2.0], (1, 2))
    array([0., 1., 2., 0., 0.], dtype=float32)
    """
    x = as_numbers(x, "pad", "x")
    if x.dtype.kind != "f" and np.asarray(value).astype(x.dtype) != value:
        x = as_float32(x, "pad", "x")  # integers have no such number
    if mode != "constant":
        raise ValueError(f"pad: mode is {mode!r}, expected 'constant'")
    if len(pad) % 2 or len(pad) > 2 * x.ndim or any(n < 0 for n in pad):
        raise ValueError(
            f"pad: pad is {tuple(pad)} for x of shape {x.shape}, expected up to {x.ndim} pairs of sizes >= 0"
        )
    before, after = [0] * x.ndim, [0] * x.ndim
    for i in range(len(pad) // 2):
        before[-1 - i], after[-1 - i] = int(pad[2 * i]), int(pad[2 * i + 1])
    shape = tuple([n + b + a for n, b, a in zip(x.shape, before, after, strict=True)])
    inside = tuple([slice(b, b + n) for n, b in zip(x.shape, before, strict=True)])
    last = x.ndim == 4 and not x.flags.c_contiguous and is_channels_last(x)
    y = new(shape, last) if x.dtype == np.float32 else np.empty(shape, x.dtype)
    y.fill(value)
    y[inside] = x
    return y, lambda dy: (dy[inside],)
