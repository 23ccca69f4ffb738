"""What several ops ask of their arguments, and of the shapes of their arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.arrays import FloatArray, pair

Shape = tuple[int, ...]
Sizes = tuple[int, ...]
Sides = tuple[int, int, int, int]


def check_probability(p: float, op: str) -> float:
    if type(p) is float and 0 <= p <= 1:
        return p
    if isinstance(p, bool) or not isinstance(p, (int, float, np.number)):
        raise TypeError(f"{op}: p is {p!r}, expected a probability from 0 to 1")
    if not 0 <= p <= 1:
        raise ValueError(f"{op}: p is {p}, expected a probability from 0 to 1")
    return float(p)


def check_reduction(reduction: str, op: str) -> str:
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{op}: reduction is {reduction!r}, expected 'none', 'mean' or 'sum'")
    return reduction


def scaled(gradient: FloatArray, dy: FloatArray) -> FloatArray:
    """``gradient`` times the gradient of the loss, in place; dy is mostly the 1 that backward() starts with."""
    if dy.ndim == 0 and dy == 1:
        return gradient
    return np.multiply(gradient, dy, out=gradient)


def require_axes(shape: Shape, ndim: int, layout: str, op: str, name: str) -> None:
    if len(shape) != ndim:
        raise ValueError(f"{op}: {name} has shape {shape}, expected {ndim} dimensions {layout}")


def integer(value: Any, op: str, name: str) -> int:
    """``value`` as an int, of any sign, but no bool."""
    if type(value) is int:
        return value
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{op}: {name} is {value!r}, expected an integer")
    return int(value)


def one_axis(axis: int, ndim: int, op: str, name: str = "axis") -> int:
    """``axis`` counted from the front; raises ValueError when there is no such axis."""
    if -ndim <= axis < ndim:
        return axis if axis >= 0 else axis + ndim
    raise ValueError(f"{op}: {name} is {axis}, but x has {ndim} dimensions")


def same(x: Shape, **attributes: Any) -> Shape:
    """The shape of what is computed element by element."""
    return x


def broadcast(op: str, *shapes: Shape) -> Shape:
    """The shape that arrays of these shapes broadcast to together."""
    longest = max(shapes, key=len)
    result = list(longest)
    for shape in shapes:
        for i, n in enumerate(shape, len(result) - len(shape)):
            if result[i] == 1:
                result[i] = n
            elif n not in (1, result[i]):
                *first, last = [str(shape) for shape in shapes]
                raise ValueError(f"{op}: shapes {', '.join(first)} and {last} do not broadcast together")
    return tuple(result)


def check_windows(
    op: str, x: Shape, kernel: Sizes, padding: Sizes, dilation: Sizes, stride: Sizes, ceil: bool
) -> Sizes:
    """The number of windows along each of the axes of x (N, C, ...) after the channels.

    Raises where an axis holds none, or where padding exceeds half of the kernel.
    """
    axes = ("length",) if len(kernel) == 1 else ("height", "width")
    counts = []
    for axis, size, k, p, d, s in zip(axes, x[2:], kernel, padding, dilation, stride, strict=True):
        if 2 * p > k:
            raise ValueError(f"{op}: padding {p} is more than half of kernel_size {k}")
        extent = d * (k - 1) + 1
        if size < 1 or size + 2 * p + (s - 1 if ceil else 0) < extent:
            raise ValueError(
                f"{op}: kernel_size {k} with dilation {d} does not fit the {axis} of x {x} padded to {size + 2 * p}"
            )
        count = (size + 2 * p - extent + (s - 1 if ceil else 0)) // s + 1
        counts.append(count - 1 if ceil and (count - 1) * s >= size + p else count)  # the last begins in the image
    return tuple(counts)


def padding_sides(padding: Any, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Sides:
    """(top, bottom, left, right) of conv2d from an int, a pair, "valid" or "same"."""
    if isinstance(padding, str):
        return named_padding("conv2d", padding, kernel, stride, dilation)  # type: ignore[return-value]
    h, w = pair(padding, "conv2d", "padding", minimum=0)
    return h, h, w, w


def named_padding(op: str, padding: str, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Sizes:
    """Elements before and after each axis, for "valid" or "same"."""
    if padding == "valid":
        return (0, 0) * len(kernel)
    if padding != "same":
        raise ValueError(f"{op}: padding is {padding!r}, expected 'same', 'valid', an integer or two")
    if any(step != 1 for step in stride):
        raise ValueError(f"{op}: padding 'same' needs stride 1, not {stride}")
    sides: list[int] = []
    for k, d in zip(kernel, dilation, strict=True):
        more = d * (k - 1)
        sides += (more // 2, more - more // 2)
    return tuple(sides)


def kept(x: Any, *others: Any) -> Any:
    """The dtype of the result of an op that moves elements of x."""
    return x
