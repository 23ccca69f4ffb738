# mypy: disable-error-code="no-any-return"
"""Python's operators on Tensors, each of which is one op, and what Python asks of a value. Given to Tensor when the ops
are imported, as in methods.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fastnn.ops.arithmetic import add, div, mul, pow, sub
from fastnn.ops.compare import eq, ge, gt, le, lt, ne
from fastnn.ops.division import floor_divide, remainder
from fastnn.ops.index import index
from fastnn.ops.join import unbind
from fastnn.ops.logic import bitwise_and, bitwise_not, bitwise_or, bitwise_xor
from fastnn.ops.matmul import matmul
from fastnn.ops.pointwise import abs, neg
from fastnn.tape import values_seen
from fastnn.value import Tensor

_NUMBERS = (Tensor, np.ndarray, np.generic, bool, int, float)


def _comparable(other: Any) -> bool:
    """Whether there are elements to compare with; a Tensor is not equal to None or a word, as an object."""
    if isinstance(other, _NUMBERS) or hasattr(other, "__array__"):
        return True
    return isinstance(other, Sequence) and not isinstance(other, (str, bytes))


class Operators:
    """See fastnn.ops for shapes and errors."""

    _array: npt.NDArray[Any]

    # Arithmetic

    def __add__(self, other: Any) -> Tensor:
        return add(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return add(other, self)

    def __sub__(self, other: Any) -> Tensor:
        return sub(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return sub(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return mul(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return mul(other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return div(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return div(other, self)

    def __floordiv__(self, other: Any) -> Tensor:
        return floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return floor_divide(other, self)

    def __mod__(self, other: Any) -> Tensor:
        return remainder(self, other)

    def __rmod__(self, other: Any) -> Tensor:
        return remainder(other, self)

    def __pow__(self, exponent: Any) -> Tensor:
        return pow(self, exponent)

    def __rpow__(self, base: Any) -> Tensor:
        return pow(base, self)

    def __matmul__(self, other: Any) -> Tensor:
        return matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return matmul(other, self)

    def __neg__(self) -> Tensor:
        return neg(self)

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Tensor:
        return abs(self)

    # Logic

    def __and__(self, other: Any) -> Tensor:
        return bitwise_and(self, other)

    def __rand__(self, other: Any) -> Tensor:
        return bitwise_and(other, self)

    def __or__(self, other: Any) -> Tensor:
        return bitwise_or(self, other)

    def __ror__(self, other: Any) -> Tensor:
        return bitwise_or(other, self)

    def __xor__(self, other: Any) -> Tensor:
        return bitwise_xor(self, other)

    def __rxor__(self, other: Any) -> Tensor:
        return bitwise_xor(other, self)

    def __invert__(self) -> Tensor:
        return bitwise_not(self)

    # Comparisons give Tensors of bool, so a Tensor is not equal to itself as an object: compare with `is`.

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return eq(self, other) if _comparable(other) else NotImplemented

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return ne(self, other) if _comparable(other) else NotImplemented

    def __lt__(self, other: Any) -> Tensor:
        return lt(self, other) if _comparable(other) else NotImplemented

    def __le__(self, other: Any) -> Tensor:
        return le(self, other) if _comparable(other) else NotImplemented

    def __gt__(self, other: Any) -> Tensor:
        return gt(self, other) if _comparable(other) else NotImplemented

    def __ge__(self, other: Any) -> Tensor:
        return ge(self, other) if _comparable(other) else NotImplemented

    __hash__ = object.__hash__

    # A sequence along the first axis

    def __getitem__(self, key: Any) -> Tensor:
        return index(self, key)

    def __len__(self) -> int:
        return len(self._array)

    def __iter__(self) -> Iterator[Tensor]:
        if not self._array.ndim:
            raise TypeError("iteration over a Tensor of no dimensions")
        return iter(unbind(self))

    # A number, where there is one element

    def __float__(self) -> float:
        values_seen("float(x)")
        return float(self._array.item())

    def __int__(self) -> int:
        values_seen("int(x)")
        return int(self._array.item())

    def __index__(self) -> int:
        if self._array.ndim or self._array.dtype.kind != "i":  # NumPy would take an array of one for a number
            raise TypeError(f"a Tensor of {self._array.dtype}, shape {self._array.shape}, is no index by itself")
        values_seen("a Tensor as an index")
        return int(self._array)

    def __bool__(self) -> bool:
        values_seen("bool(x), such as `if x:`,")
        return bool(self._array)

    def __format__(self, spec: str) -> str:
        values_seen("format(x)")
        return format(self._array.item(), spec) if spec else str(self)
