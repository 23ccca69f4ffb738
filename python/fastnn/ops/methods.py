"""Operators and methods of Tensor under torch's names: each is one op, and means what torch means. Given to Tensor when
the ops are imported, so that value.py knows no op."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.ops.activation import relu, sigmoid, tanh
from fastnn.ops.arithmetic import add, div, mul, pow, sub
from fastnn.ops.arrange import flip, repeat
from fastnn.ops.extreme import argmax, argmin, max, min
from fastnn.ops.index import index
from fastnn.ops.join import chunk, split, unbind
from fastnn.ops.matmul import matmul
from fastnn.ops.pointwise import abs, clamp, exp, log, neg, sqrt
from fastnn.ops.reduction import mean, std, sum, var
from fastnn.ops.shape import broadcast_to, flatten, permute, reshape, squeeze, transpose, unsqueeze
from fastnn.ops.softmax import log_softmax, softmax
from fastnn.tape import values_seen
from fastnn.value import Tensor, wrapped

BoolArray = Any  # ndarray of bool; a scalar of bool for no dimensions


def _sizes(sizes: tuple[Any, ...]) -> Any:
    """(2, 3) from f(2, 3) and from f((2, 3))."""
    return sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes


def _array(value: Any) -> Any:
    return value._array if isinstance(value, Tensor) else value


def _exact(ufunc: np.ufunc, op: Any, x: Any, y: Any) -> Any:
    """The result as integers where both are integers or bool, such as ``lengths - 1`` in a forward; else that of op."""
    arrays = _array(x), _array(y)
    for a in arrays:
        if not isinstance(a, (int, np.integer)) and (not isinstance(a, np.ndarray) or a.dtype.kind not in "iub"):
            return op(x, y)
    values_seen("arithmetic of integers")
    return wrapped(np.asarray(ufunc(*arrays)))


def _compared(ufunc: np.ufunc, x: Any, y: Any, written: str) -> BoolArray:
    values_seen(f"the comparison {written}")
    return ufunc(x._array, _array(y))


class Methods:
    """What users write between layers; see fastnn.ops for shapes and errors. A method calls the op of its name."""

    _array: npt.NDArray[Any]

    # Python's operators

    def __add__(self, other: Any) -> Any:
        if self._array.dtype.kind != "f":
            return _exact(np.add, add, self, other)
        return add(self, other)

    def __radd__(self, other: Any) -> Any:
        if self._array.dtype.kind != "f":
            return _exact(np.add, add, other, self)
        return add(other, self)

    def __sub__(self, other: Any) -> Any:
        if self._array.dtype.kind != "f":
            return _exact(np.subtract, sub, self, other)
        return sub(self, other)

    def __rsub__(self, other: Any) -> Any:
        if self._array.dtype.kind != "f":
            return _exact(np.subtract, sub, other, self)
        return sub(other, self)

    def __mul__(self, other: Any) -> Any:
        if self._array.dtype.kind != "f":
            return _exact(np.multiply, mul, self, other)
        return mul(self, other)

    def __rmul__(self, other: Any) -> Any:
        if self._array.dtype.kind != "f":
            return _exact(np.multiply, mul, other, self)
        return mul(other, self)

    def __truediv__(self, other: Any) -> Any:
        return div(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return div(other, self)

    def __pow__(self, exponent: Any) -> Any:
        return pow(self, exponent)

    def __rpow__(self, base: Any) -> Any:
        return pow(base, self)

    def __matmul__(self, other: Any) -> Any:
        return matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return matmul(other, self)

    def __neg__(self) -> Any:
        return self * -1 if self._array.dtype.kind in "iub" else neg(self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return abs(self)

    # Comparisons give plain arrays of bool, so a Tensor is not equal to itself as an object: compare with `is`.

    def __eq__(self, other: object) -> BoolArray:
        return _compared(np.equal, self, other, "x == y")

    def __ne__(self, other: object) -> BoolArray:
        return _compared(np.not_equal, self, other, "x != y")

    def __lt__(self, other: Any) -> BoolArray:
        return _compared(np.less, self, other, "x < y")

    def __le__(self, other: Any) -> BoolArray:
        return _compared(np.less_equal, self, other, "x <= y")

    def __gt__(self, other: Any) -> BoolArray:
        return _compared(np.greater, self, other, "x > y")

    def __ge__(self, other: Any) -> BoolArray:
        return _compared(np.greater_equal, self, other, "x >= y")

    __hash__ = object.__hash__

    # A sequence along the first axis

    def __getitem__(self, key: Any) -> Any:
        return index(self, key)

    def __len__(self) -> int:
        return len(self._array)

    def __iter__(self) -> Iterator[Any]:
        if not self._array.ndim:
            raise TypeError("iteration over a Tensor of no dimensions")
        return iter(unbind(self))

    def tolist(self) -> Any:
        values_seen("tolist()")
        return self._array.tolist()

    # A number, where there is one element

    def __float__(self) -> float:
        values_seen("float(x)")
        return float(self._array.item())

    def __int__(self) -> int:
        values_seen("int(x)")
        return int(self._array.item())

    def __bool__(self) -> bool:
        values_seen("bool(x), such as `if x:`,")
        return bool(self._array)

    def __format__(self, spec: str) -> str:
        values_seen("format(x)")
        return format(self._array.item(), spec) if spec else str(self)

    # Reductions: by position or dim as torch's, axis and keepdims as NumPy's; see fastnn.ops

    def sum(self, dim: Any = None, keepdim: bool = False, **options: Any) -> Any:
        if self._array.dtype.kind in "iub":  # exact, as the op's float32 is not
            values_seen("the sum of integers")
            axis, keep = options.get("axis", dim), keepdim or options.get("keepdims", False)
            return wrapped(np.asarray(np.sum(self._array, axis=None if axis == () else axis, keepdims=keep)))
        return sum(self, dim, keepdim, **options)

    def mean(self, dim: Any = None, keepdim: bool = False, **options: Any) -> Any:
        return mean(self, dim, keepdim, **options)

    def max(self, dim: Any = None, keepdim: bool = False, **options: Any) -> Any:
        return max(self, dim, keepdim, **options)

    def min(self, dim: Any = None, keepdim: bool = False, **options: Any) -> Any:
        return min(self, dim, keepdim, **options)

    def var(self, dim: Any = None, correction: Any = None, keepdim: bool = False, **options: Any) -> Any:
        return var(self, dim, correction, keepdim, **options)

    def std(self, dim: Any = None, correction: Any = None, keepdim: bool = False, **options: Any) -> Any:
        return std(self, dim, correction, keepdim, **options)

    def argmax(self, dim: int | None = None, keepdim: bool = False, **options: Any) -> Any:
        return argmax(self, dim, keepdim, **options)

    def argmin(self, dim: int | None = None, keepdim: bool = False, **options: Any) -> Any:
        return argmin(self, dim, keepdim, **options)

    # Shape

    def reshape(self, *shape: Any) -> Any:
        return reshape(self, _sizes(shape))

    def view(self, *shape: Any) -> Any:
        return reshape(self, _sizes(shape))

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Any:
        return flatten(self, start_dim, end_dim)

    def transpose(self, dim0: int, dim1: int) -> Any:
        return transpose(self, dim0, dim1)

    def permute(self, *dims: Any) -> Any:
        return permute(self, _sizes(dims))

    @property
    def T(self) -> Any:
        return permute(self, range(self._array.ndim - 1, -1, -1))

    def squeeze(self, dim: int | None = None) -> Any:
        return squeeze(self, dim)

    def unsqueeze(self, dim: int) -> Any:
        return unsqueeze(self, dim)

    def expand(self, *sizes: Any) -> Any:
        return broadcast_to(self, _sizes(sizes))

    def broadcast_to(self, *sizes: Any) -> Any:
        return broadcast_to(self, _sizes(sizes))

    def repeat(self, *sizes: Any) -> Any:
        return repeat(self, _sizes(sizes))

    def flip(self, *dims: Any) -> Any:
        return flip(self, _sizes(dims))

    def split(self, split_size: Any, dim: int = 0) -> Any:
        return split(self, split_size, dim)

    def chunk(self, chunks: int, dim: int = 0) -> Any:
        return chunk(self, chunks, dim)

    def unbind(self, dim: int = 0) -> Any:
        return unbind(self, dim)

    # Functions of each element

    def pow(self, exponent: Any) -> Any:
        return pow(self, exponent)

    def exp(self) -> Any:
        return exp(self)

    def log(self) -> Any:
        return log(self)

    def sqrt(self) -> Any:
        return sqrt(self)

    def abs(self) -> Any:
        return abs(self)

    def clamp(self, min: float | None = None, max: float | None = None) -> Any:
        return clamp(self, min, max)

    def clip(self, min: float | None = None, max: float | None = None) -> Any:
        return clamp(self, min, max)

    def relu(self) -> Any:
        return relu(self)

    def sigmoid(self) -> Any:
        return sigmoid(self)

    def tanh(self) -> Any:
        return tanh(self)

    def softmax(self, dim: int) -> Any:
        return softmax(self, dim)

    def log_softmax(self, dim: int) -> Any:
        return log_softmax(self, dim)
