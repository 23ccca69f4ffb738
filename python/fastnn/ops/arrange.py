"""Ops that lay elements out anew: side by side, in reverse, or with more around them; integers and bool keep their
dtype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.arrays import FloatArray, as_float32, as_numbers, is_channels_last
from fastnn.ops.broadcast import new
from fastnn.ops.checks import integer, kept, one_axis
from fastnn.ops.op import Normal, Shape, op
from fastnn.tape import Backward

Need = Sequence[bool]
Result = tuple[FloatArray, Backward]


def _repeat_shape(x: Shape, *, sizes: Shape) -> Shape:
    if len(sizes) < len(x) or any(n < 0 for n in sizes):
        raise ValueError(f"repeat: sizes are {sizes} for x of shape {x}, expected at least {len(x)}, all >= 0")
    inner = (1,) * (len(sizes) - len(x)) + x
    return tuple([count * n for count, n in zip(sizes, inner, strict=True)])


def _repeat_run(x: FloatArray, *, need: Need, sizes: Shape) -> Result:
    x_shape, copies = x.shape, tuple(range(0, 2 * len(sizes), 2))
    inner = (1,) * (len(sizes) - x.ndim) + x_shape
    each = tuple([n for pair in zip(sizes, inner, strict=True) for n in pair])  # times, then the axis itself

    def backward(dy: FloatArray) -> tuple[FloatArray]:
        return (np.add.reduce(dy.reshape(each), axis=copies, dtype=np.float64).astype(np.float32).reshape(x_shape),)

    return np.tile(x, sizes), backward


@op(shape=_repeat_shape, run=_repeat_run, outputs=kept)
def repeat(x: Any, sizes: Sequence[int]) -> Normal:
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
    given: Any = sizes if isinstance(sizes, (tuple, list)) else (sizes,)
    return (as_numbers(x, "repeat", "x"),), {"sizes": tuple([int(n) for n in given])}


def _flip_shape(x: Shape, *, dims: Shape) -> Shape:
    axes = [one_axis(d, len(x), "flip", "dims") for d in dims]
    if len(set(axes)) != len(axes):
        raise ValueError(f"flip: dims {dims} name an axis of x {x} twice")
    return x


def _flip_run(x: FloatArray, *, need: Need, dims: Shape) -> Result:
    return np.flip(x, dims), lambda dy: (np.flip(dy, dims),)


@op(shape=_flip_shape, run=_flip_run, outputs=kept)
def flip(x: Any, dims: Any) -> Normal:
    """x with the order of its elements reversed along one axis or several, a view.

    >>> import fastnn as fnn
    >>> fnn.ops.flip([1.0, 2.0, 3.0], 0)
    array([3., 2., 1.], dtype=float32)
    """
    given = dims if isinstance(dims, (tuple, list)) else (dims,)
    return (as_numbers(x, "flip", "x"),), {"dims": tuple([integer(d, "flip", "dims") for d in given])}


def _pad_sides(x: Shape, pad: Shape) -> tuple[list[int], list[int]]:
    """Elements before and after every axis."""
    if len(pad) % 2 or len(pad) > 2 * len(x) or (pad and min(pad) < 0):
        raise ValueError(f"pad: pad is {pad} for x of shape {x}, expected up to {len(x)} pairs of sizes >= 0")
    before, after = [0] * len(x), [0] * len(x)
    before[len(x) - len(pad) // 2 :], after[len(x) - len(pad) // 2 :] = pad[-2::-2], pad[::-2]
    return before, after


def _pad_shape(x: Shape, *, pad: Shape, value: float) -> Shape:
    return tuple([n + b + a for n, b, a in zip(x, *_pad_sides(x, pad), strict=True)])


def _pad_run(x: FloatArray, *, need: Need, pad: Shape, value: float) -> Result:
    before, after = _pad_sides(x.shape, pad)
    shape = tuple([n + b + a for n, b, a in zip(x.shape, before, after, strict=True)])
    inside = tuple([slice(b, b + n) for n, b in zip(x.shape, before, strict=True)])
    last = x.ndim == 4 and not x.flags.c_contiguous and is_channels_last(x)
    y = new(shape, last) if x.dtype == np.float32 else np.empty(shape, x.dtype)
    y.fill(value)
    y[inside] = x
    return y, lambda dy: (dy[inside],)


@op(shape=_pad_shape, run=_pad_run, outputs=kept)
def pad(x: Any, pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> Normal:
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
    number = value if type(value) in (int, float) else np.asarray(value).item()
    return (x,), {"pad": tuple(map(int, pad)), "value": number}
