# mypy: disable-error-code="no-any-return"
"""Methods of Tensor under torch's names: each is one op, and means what torch means. Given to Tensor when the ops are
imported, so that value.py knows no op."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from fastnn.dtypes import as_dtype
from fastnn.ops.activation import relu, sigmoid, tanh
from fastnn.ops.arithmetic import pow
from fastnn.ops.arrange import flip, repeat
from fastnn.ops.compare import eq, ge, gt, le, lt, ne
from fastnn.ops.convert import clone, to_bool, to_float32, to_int64
from fastnn.ops.extreme import argmax, argmin, max, min
from fastnn.ops.join import chunk, split, unbind
from fastnn.ops.logic import all, any, logical_and, logical_not, logical_or, logical_xor
from fastnn.ops.pointwise import abs, clamp, exp, log, sqrt
from fastnn.ops.reduction import mean, std, sum, var
from fastnn.ops.shape import broadcast_to, flatten, permute, reshape, squeeze, transpose, unsqueeze
from fastnn.ops.softmax import log_softmax, softmax
from fastnn.tape import values_seen
from fastnn.value import Tensor


def _sizes(sizes: tuple[Any, ...]) -> Any:
    """(2, 3) from f(2, 3) and from f((2, 3))."""
    return sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes


class Methods:
    """What users write between layers; see fastnn.ops for shapes and errors. A method calls the op of its name."""

    _array: npt.NDArray[Any]

    def tolist(self) -> Any:
        values_seen("tolist()")
        return self._array.tolist()

    # Reductions: by position or dim as torch's, axis and keepdims as NumPy's; see fastnn.ops

    def sum(self, dim: Any = None, keepdim: bool = False, **options: Any) -> Tensor:
        return sum(self, dim, keepdim, **options)

    def mean(self, dim: Any = None, keepdim: bool = False, **options: Any) -> Tensor:
        return mean(self, dim, keepdim, **options)

    def max(self, dim: Any = None, keepdim: bool = False, **options: Any) -> Any:
        return max(self, dim, keepdim, **options)

    def min(self, dim: Any = None, keepdim: bool = False, **options: Any) -> Any:
        return min(self, dim, keepdim, **options)

    def var(self, dim: Any = None, correction: Any = None, keepdim: bool = False, **options: Any) -> Tensor:
        return var(self, dim, correction, keepdim, **options)

    def std(self, dim: Any = None, correction: Any = None, keepdim: bool = False, **options: Any) -> Tensor:
        return std(self, dim, correction, keepdim, **options)

    def argmax(self, dim: int | None = None, keepdim: bool = False, **options: Any) -> Tensor:
        return argmax(self, dim, keepdim, **options)

    def argmin(self, dim: int | None = None, keepdim: bool = False, **options: Any) -> Tensor:
        return argmin(self, dim, keepdim, **options)

    def all(self, dim: Any = None, keepdim: bool = False, **options: Any) -> Tensor:
        return all(self, dim, keepdim, **options)

    def any(self, dim: Any = None, keepdim: bool = False, **options: Any) -> Tensor:
        return any(self, dim, keepdim, **options)

    # Shape

    def dim(self) -> int:
        return self._array.ndim

    def numel(self) -> int:
        return self._array.size

    def reshape(self, *shape: Any) -> Tensor:
        return reshape(self, _sizes(shape))

    def view(self, *shape: Any) -> Tensor:
        return reshape(self, _sizes(shape))

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        return flatten(self, start_dim, end_dim)

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        return transpose(self, dim0, dim1)

    def permute(self, *dims: Any) -> Tensor:
        return permute(self, _sizes(dims))

    @property
    def T(self) -> Tensor:
        return permute(self, range(self._array.ndim - 1, -1, -1))

    def squeeze(self, dim: int | None = None) -> Tensor:
        return squeeze(self, dim)

    def unsqueeze(self, dim: int) -> Tensor:
        return unsqueeze(self, dim)

    def expand(self, *sizes: Any) -> Tensor:
        return broadcast_to(self, _sizes(sizes))

    def broadcast_to(self, *sizes: Any) -> Tensor:
        return broadcast_to(self, _sizes(sizes))

    def repeat(self, *sizes: Any) -> Tensor:
        return repeat(self, _sizes(sizes))

    def flip(self, *dims: Any) -> Tensor:
        return flip(self, _sizes(dims))

    def split(self, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
        return split(self, split_size, dim)

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
        return chunk(self, chunks, dim)

    def unbind(self, dim: int = 0) -> tuple[Tensor, ...]:
        return unbind(self, dim)

    # Functions of each element

    def pow(self, exponent: Any) -> Tensor:
        return pow(self, exponent)

    def exp(self) -> Tensor:
        return exp(self)

    def log(self) -> Tensor:
        return log(self)

    def sqrt(self) -> Tensor:
        return sqrt(self)

    def abs(self) -> Tensor:
        return abs(self)

    def clamp(self, min: float | None = None, max: float | None = None) -> Tensor:
        return clamp(self, min, max)

    def clip(self, min: float | None = None, max: float | None = None) -> Tensor:
        return clamp(self, min, max)

    def relu(self) -> Tensor:
        return relu(self)

    def sigmoid(self) -> Tensor:
        return sigmoid(self)

    def tanh(self) -> Tensor:
        return tanh(self)

    def softmax(self, dim: int) -> Tensor:
        return softmax(self, dim)

    def log_softmax(self, dim: int) -> Tensor:
        return log_softmax(self, dim)

    # Comparisons and truth

    def eq(self, other: Any) -> Tensor:
        return eq(self, other)

    def ge(self, other: Any) -> Tensor:
        return ge(self, other)

    def gt(self, other: Any) -> Tensor:
        return gt(self, other)

    def le(self, other: Any) -> Tensor:
        return le(self, other)

    def lt(self, other: Any) -> Tensor:
        return lt(self, other)

    def ne(self, other: Any) -> Tensor:
        return ne(self, other)

    def logical_and(self, other: Any) -> Tensor:
        return logical_and(self, other)

    def logical_not(self) -> Tensor:
        return logical_not(self)

    def logical_or(self, other: Any) -> Tensor:
        return logical_or(self, other)

    def logical_xor(self, other: Any) -> Tensor:
        return logical_xor(self, other)


_TO = {"bool": to_bool, "float32": to_float32, "int64": to_int64}


class Conversions:
    """Other dtypes, in a class of their own: their names are those of Python's."""

    _array: npt.NDArray[Any]

    def clone(self) -> Tensor:
        """A copy, with the gradient."""
        return clone(self)

    def to(self, dtype: Any) -> Tensor:
        """As fastnn.float32, int64 or bool; the Tensor itself where it is that already."""
        name = as_dtype(dtype, "to").name
        return self if self._array.dtype.name == name else _TO[name](self)  # type: ignore[return-value]

    def float(self) -> Tensor:
        """As float32."""
        return self.to("float32")

    def long(self) -> Tensor:
        """As int64."""
        return self.to("int64")

    def bool(self) -> Tensor:
        """As bool: whether each element is not 0."""
        return self.to("bool")
