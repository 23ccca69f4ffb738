"""``x += y``, ``x[i] = y`` of Tensors: in place where that is safe, an error where a gradient would be lost."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import writes
from fastnn.ops.arithmetic import add, div, mul, pow, sub
from fastnn.ops.division import floor_divide, remainder
from fastnn.ops.logic import bitwise_and, bitwise_or, bitwise_xor
from fastnn.ops.op import Op
from fastnn.ops.pointwise import clamp
from fastnn.sharing import shows_only_itself
from fastnn.tape import mode, no_grad, values_seen
from fastnn.value import Tensor


def _recorded(x: Any, y: Any) -> bool:
    return mode.recording and (x._requires_grad or (isinstance(y, Tensor) and y._requires_grad))


def _references(x: Any) -> int:
    return sys.getrefcount(x._array)


def _write(x: Any, key: Any, value: Any) -> None:
    if not x._array.flags.writeable:
        raise ValueError(f"the Tensor of shape {x.shape} shows memory that may only be read; write x = x + y")
    x._array[key] = value
    if x._requires_grad or not x._exposed:  # else, such as p.data, whoever reads the memory compares its bits
        writes.note_write(x._array)


def _cannot_hold(x: Any, what: str, dtype: Any, instead: str) -> TypeError:
    return TypeError(f"the Tensor of dtype {x.dtype} cannot hold {what}, of dtype {dtype}; write {instead}")


_KINDS = "biuf"  # each holds those before it


def _check_shape(x: Any, shape: tuple[int, ...], sign: str) -> None:
    if shape != x.shape:
        raise ValueError(f"x {sign}= y: the result of shape {shape} does not fit into x of shape {x.shape}")


def _assign(x: Any, y: Any, sign: str, op: Op[Any]) -> Any:
    """x = op(x, y), as the same object."""
    values_seen(f"x {sign}= y")
    if not _recorded(x, y):
        with no_grad():
            z = op(x, y)
        _check_shape(x, z.shape, sign)
        if _KINDS.index(z.dtype.kind) > _KINDS.index(x._array.dtype.kind):
            raise _cannot_hold(x, "the result", z.dtype, f"x = x {sign} y, not x {sign}= y")
        _write(x, ..., z._array)
        return x
    if x._requires_grad and x._node is None:
        raise RuntimeError(
            f"x {sign}= y: x is a leaf that requires a gradient, which cannot change while something is recorded; "
            f"write x = x {sign} y, or change it in `with fastnn.no_grad():`"
        )
    if _references(x) > _ALONE or not shows_only_itself(x._array):
        raise RuntimeError(
            f"x {sign}= y: the memory of x of shape {x.shape} is seen from elsewhere (a view, or a value saved for a "
            f"gradient), which would not follow; write x = x {sign} y"
        )
    z = op(x, y)
    _check_shape(x, z.shape, sign)
    x._array, x._node, x._index, x._requires_grad = z._array, z._node, z._index, z._requires_grad
    return x


class InPlace:
    """Assignments of Tensor.

    Under ``no_grad``, and where no gradient is wanted, the memory is written, and everything that shares it sees that.
    A recorded Tensor becomes the result, under all its names; where other memory would have to follow, it is an error.
    """

    _array: npt.NDArray[Any]
    requires_grad: bool
    _requires_grad: bool

    def __iadd__(self, other: Any) -> Tensor:
        return _assign(self, other, "+", add)  # type: ignore[no-any-return]

    def __isub__(self, other: Any) -> Tensor:
        return _assign(self, other, "-", sub)  # type: ignore[no-any-return]

    def __imul__(self, other: Any) -> Tensor:
        return _assign(self, other, "*", mul)  # type: ignore[no-any-return]

    def __itruediv__(self, other: Any) -> Tensor:
        return _assign(self, other, "/", div)  # type: ignore[no-any-return]

    def __ipow__(self, other: Any) -> Tensor:
        return _assign(self, other, "**", pow)  # type: ignore[no-any-return]

    def __ifloordiv__(self, other: Any) -> Tensor:
        return _assign(self, other, "//", floor_divide)  # type: ignore[no-any-return]

    def __imod__(self, other: Any) -> Tensor:
        return _assign(self, other, "%", remainder)  # type: ignore[no-any-return]

    def __iand__(self, other: Any) -> Tensor:
        return _assign(self, other, "&", bitwise_and)  # type: ignore[no-any-return]

    def __ior__(self, other: Any) -> Tensor:
        return _assign(self, other, "|", bitwise_or)  # type: ignore[no-any-return]

    def __ixor__(self, other: Any) -> Tensor:
        return _assign(self, other, "^", bitwise_xor)  # type: ignore[no-any-return]

    def __setitem__(self, key: Any, value: Any) -> None:
        values_seen("x[i] = y")
        if _recorded(self, value):
            raise TypeError(
                "x[i] = y of a Tensor, or from one, that requires a gradient is not recorded; make x of its parts by "
                "fastnn.ops.stack, cat or where, or write in `with fastnn.no_grad():`"
            )
        plain = np.asarray(value._array if isinstance(value, Tensor) else value)
        if self._array.dtype.kind in "iub" and not np.array_equal(plain.astype(self._array.dtype), plain):
            wider = "long" if plain.dtype.kind in "iu" and self._array.dtype.kind == "b" else "float"
            raise _cannot_hold(self, "what is assigned", plain.dtype, f"x = x.{wider}() before x[i] = y")
        _write(self, key, plain)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """x.requires_grad = requires_grad"""
        self.requires_grad = requires_grad
        return self  # type: ignore[return-value]

    # torch's names for them

    def add_(self, other: Any, *, alpha: float = 1) -> Tensor:
        """x += alpha * other"""
        return _assign(self, other if alpha == 1 else _scaled(other, alpha), "+", add)  # type: ignore[no-any-return]

    def sub_(self, other: Any, *, alpha: float = 1) -> Tensor:
        """x -= alpha * other"""
        return _assign(self, other if alpha == 1 else _scaled(other, alpha), "-", sub)  # type: ignore[no-any-return]

    def mul_(self, other: Any) -> Tensor:
        """x *= other"""
        return _assign(self, other, "*", mul)  # type: ignore[no-any-return]

    def div_(self, other: Any) -> Tensor:
        """x /= other"""
        return _assign(self, other, "/", div)  # type: ignore[no-any-return]

    def clamp_(self, min: Any = None, max: Any = None) -> Tensor:
        """x = x.clamp(min, max)"""
        values_seen("x.clamp_()")
        return self.copy_(clamp(self, min, max))

    def copy_(self, source: Any) -> Tensor:
        """x[...] = source, which is broadcast, and converted to the dtype of x."""
        if self._array.dtype.kind != "f":
            source = np.asarray(source).astype(self._array.dtype)
        self[...] = source
        return self  # type: ignore[return-value]

    def fill_(self, value: Any) -> Tensor:
        """x[...] = value"""
        self[...] = value
        return self  # type: ignore[return-value]

    def zero_(self) -> Tensor:
        """x[...] = 0"""
        return self.fill_(0)


def _scaled(other: Any, alpha: float) -> Any:
    return mul(other, alpha)


def _measure() -> int:
    """References to the array of a Tensor that nobody else has, counted as above."""

    return _references(types.SimpleNamespace(_array=np.empty(1, np.float32)))


_ALONE = _measure()
