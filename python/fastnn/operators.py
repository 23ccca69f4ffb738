"""Operators and methods of Tensor under torch's names: each is one op of fastnn.ops, and means what torch means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

import fastnn

BoolArray = Any  # ndarray of bool; a scalar of bool for no dimensions


def _sizes(sizes: tuple[Any, ...]) -> Any:
    """(2, 3) from f(2, 3) and from f((2, 3))."""
    return sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes


def _array(value: Any) -> Any:
    return value._array if isinstance(value, Operators) else value


def _exact(ufunc: np.ufunc, op: Any, x: Any, y: Any) -> Any:
    """The result as integers where both are integers or bool, such as ``lengths - 1`` in a forward; else that of op."""
    arrays = _array(x), _array(y)
    for a in arrays:
        if not isinstance(a, (int, np.integer)) and (not isinstance(a, np.ndarray) or a.dtype.kind not in "iub"):
            return op(x, y)
    return fastnn.tensor.wrapped(np.asarray(ufunc(*arrays)))


class Operators:
    """What users write between layers; see fastnn.ops for shapes and errors."""

    __slots__ = ()
    _array: npt.NDArray[Any]

    # Python's operators

    def __add__(self, other: Any) -> Any:
        if self._array.dtype.kind != "f":
            return _exact(np.add, fastnn.ops.add, self, other)
        return fastnn.ops.add(self, other)

    def __radd__(self, other: Any) -> Any:
        if self._array.dtype.kind != "f":
            return _exact(np.add, fastnn.ops.add, other, self)
        return fastnn.ops.add(other, self)

    def __sub__(self, other: Any) -> Any:
        if self._array.dtype.kind != "f":
            return _exact(np.subtract, fastnn.ops.sub, self, other)
        return fastnn.ops.sub(self, other)

    def __rsub__(self, other: Any) -> Any:
        if self._array.dtype.kind != "f":
            return _exact(np.subtract, fastnn.ops.sub, other, self)
        return fastnn.ops.sub(other, self)

    def __mul__(self, other: Any) -> Any:
        if self._array.dtype.kind != "f":
            return _exact(np.multiply, fastnn.ops.mul, self, other)
        return fastnn.ops.mul(self, other)

    def __rmul__(self, other: Any) -> Any:
        if self._array.dtype.kind != "f":
            return _exact(np.multiply, fastnn.ops.mul, other, self)
        return fastnn.ops.mul(other, self)

    def __truediv__(self, other: Any) -> Any:
        return fastnn.ops.div(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return fastnn.ops.div(other, self)

    def __pow__(self, exponent: Any) -> Any:
        return fastnn.ops.pow(self, exponent)

    def __rpow__(self, base: Any) -> Any:
        return fastnn.ops.pow(base, self)

    def __matmul__(self, other: Any) -> Any:
        return fastnn.ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return fastnn.ops.matmul(other, self)

    def __neg__(self) -> Any:
        return self * -1 if self._array.dtype.kind in "iub" else fastnn.ops.neg(self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return fastnn.ops.abs(self)

    # Comparisons give plain arrays of bool, so a Tensor is not equal to itself as an object: compare with `is`.

    def __eq__(self, other: object) -> BoolArray:
        return np.equal(self._array, _array(other))

    def __ne__(self, other: object) -> BoolArray:
        return np.not_equal(self._array, _array(other))

    def __lt__(self, other: Any) -> BoolArray:
        return np.less(self._array, _array(other))

    def __le__(self, other: Any) -> BoolArray:
        return np.less_equal(self._array, _array(other))

    def __gt__(self, other: Any) -> BoolArray:
        return np.greater(self._array, _array(other))

    def __ge__(self, other: Any) -> BoolArray:
        return np.greater_equal(self._array, _array(other))

    __hash__ = object.__hash__

    # A sequence along the first axis

    def __getitem__(self, key: Any) -> Any:
        return fastnn.ops.index(self, key)

    def __len__(self) -> int:
        return len(self._array)

    def __iter__(self) -> Iterator[Any]:
        if not self._array.ndim:
            raise TypeError("iteration over a Tensor of no dimensions")
        return iter(fastnn.ops.unbind(self))

    def tolist(self) -> Any:
        return self._array.tolist()

    # A number, where there is one element

    def __float__(self) -> float:
        return float(self._array.item())

    def __int__(self) -> int:
        return int(self._array.item())

    def __bool__(self) -> bool:
        return bool(self._array)

    def __format__(self, spec: str) -> str:
        return format(self._array.item(), spec) if spec else str(self)

    # Reductions: by position or dim as torch's, axis and keepdims as NumPy's; see fastnn.ops

    def sum(self, dim: Any = None, keepdim: bool = False, **options: Any) -> Any:
        if self._array.dtype.kind in "iub":  # exact, as the op's float32 is not
            axis, keep = options.get("axis", dim), keepdim or options.get("keepdims", False)
            return fastnn.tensor.wrapped(
                np.asarray(np.sum(self._array, axis=None if axis == () else axis, keepdims=keep))
            )
        return fastnn.ops.sum(self, dim, keepdim, **options)

    def mean(self, dim: Any = None, keepdim: bool = False, **options: Any) -> Any:
        return fastnn.ops.mean(self, dim, keepdim, **options)

    def max(self, dim: Any = None, keepdim: bool = False, **options: Any) -> Any:
        return fastnn.ops.max(self, dim, keepdim, **options)

    def min(self, dim: Any = None, keepdim: bool = False, **options: Any) -> Any:
        return fastnn.ops.min(self, dim, keepdim, **options)

    def var(self, dim: Any = None, correction: Any = None, keepdim: bool = False, **options: Any) -> Any:
        return fastnn.ops.var(self, dim, correction, keepdim, **options)

    def std(self, dim: Any = None, correction: Any = None, keepdim: bool = False, **options: Any) -> Any:
        return fastnn.ops.std(self, dim, correction, keepdim, **options)

    def argmax(self, dim: int | None = None, keepdim: bool = False, **options: Any) -> npt.NDArray[np.int64]:
        return fastnn.ops.argmax(self, dim, keepdim, **options)

    def argmin(self, dim: int | None = None, keepdim: bool = False, **options: Any) -> npt.NDArray[np.int64]:
        return fastnn.ops.argmin(self, dim, keepdim, **options)

    # Shape

    def reshape(self, *shape: Any) -> Any:
        return fastnn.ops.reshape(self, _sizes(shape))

    def view(self, *shape: Any) -> Any:
        return fastnn.ops.reshape(self, _sizes(shape))

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Any:
        return fastnn.ops.flatten(self, start_dim, end_dim)

    def transpose(self, dim0: int, dim1: int) -> Any:
        return fastnn.ops.transpose(self, dim0, dim1)

    def permute(self, *dims: Any) -> Any:
        return fastnn.ops.permute(self, _sizes(dims))

    @property
    def T(self) -> Any:
        return fastnn.ops.permute(self, range(self._array.ndim - 1, -1, -1))

    def squeeze(self, dim: int | None = None) -> Any:
        return fastnn.ops.squeeze(self, dim)

    def unsqueeze(self, dim: int) -> Any:
        return fastnn.ops.unsqueeze(self, dim)

    def expand(self, *sizes: Any) -> Any:
        return fastnn.ops.broadcast_to(self, _sizes(sizes))

    def broadcast_to(self, *sizes: Any) -> Any:
        return fastnn.ops.broadcast_to(self, _sizes(sizes))

    def repeat(self, *sizes: Any) -> Any:
        return fastnn.ops.repeat(self, _sizes(sizes))

    def flip(self, *dims: Any) -> Any:
        return fastnn.ops.flip(self, _sizes(dims))

    def split(self, split_size: Any, dim: int = 0) -> Any:
        return fastnn.ops.split(self, split_size, dim)

    def chunk(self, chunks: int, dim: int = 0) -> Any:
        return fastnn.ops.chunk(self, chunks, dim)

    def unbind(self, dim: int = 0) -> Any:
        return fastnn.ops.unbind(self, dim)

    # Functions of each element

    def pow(self, exponent: Any) -> Any:
        return fastnn.ops.pow(self, exponent)

    def exp(self) -> Any:
        return fastnn.ops.exp(self)

    def log(self) -> Any:
        return fastnn.ops.log(self)

    def sqrt(self) -> Any:
        return fastnn.ops.sqrt(self)

    def abs(self) -> Any:
        return fastnn.ops.abs(self)

    def clamp(self, min: float | None = None, max: float | None = None) -> Any:
        return fastnn.ops.clamp(self, min, max)

    def clip(self, min: float | None = None, max: float | None = None) -> Any:
        return fastnn.ops.clamp(self, min, max)

    def relu(self) -> Any:
        return fastnn.ops.relu(self)

    def sigmoid(self) -> Any:
        return fastnn.ops.sigmoid(self)

    def tanh(self) -> Any:
        return fastnn.ops.tanh(self)

    def softmax(self, dim: int) -> Any:
        return fastnn.ops.softmax(self, dim)

    def log_softmax(self, dim: int) -> Any:
        return fastnn.ops.log_softmax(self, dim)
