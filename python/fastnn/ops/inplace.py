"""``x += y``, ``x[i] = y`` of Tensors: in place where that is safe, an error where a gradient would be lost."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import writes
from fastnn.ops.arithmetic import add, div, mul, pow, sub
from fastnn.ops.op import Op
from fastnn.ownership import shows_only_itself
from fastnn.tape import mode, no_grad, values_seen
from fastnn.value import Tensor


def _recorded(x: Any, y: Any) -> bool:
    return mode.recording and (x.requires_grad or (isinstance(y, Tensor) and y.requires_grad))


def _references(x: Any) -> int:
    return sys.getrefcount(x._array)


def _write(x: Any, key: Any, value: Any) -> None:
    if not x._array.flags.writeable:
        raise ValueError(f"the Tensor of shape {x.shape} shows memory that may only be read; write x = x + y")
    kind = np.asarray(value).dtype.kind
    if (
        x._array.dtype.kind in "iub"
        and kind == "f"
        and not np.array_equal(np.asarray(value).astype(x._array.dtype), value)
    ):
        raise TypeError(f"the Tensor of dtype {x.dtype} cannot hold the result; write x = x / y, not x /= y")
    x._array[key] = value
    writes.note_write(x._array)


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
        _write(x, ..., z._array)
        return x
    if x.requires_grad and x._node is None:
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
    x._array, x._node, x._index, x.requires_grad = z._array, z._node, z._index, z.requires_grad
    return x


class InPlace:
    """Assignments of Tensor.

    Under ``no_grad``, and where no gradient is wanted, the memory is written, and everything that shares it sees that.
    A recorded Tensor becomes the result, under all its names; where other memory would have to follow, it is an error.
    """

    _array: npt.NDArray[Any]
    requires_grad: bool

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

    def __setitem__(self, key: Any, value: Any) -> None:
        values_seen("x[i] = y")
        if _recorded(self, value):
            raise TypeError(
                "x[i] = y of a Tensor, or from one, that requires a gradient is not recorded; make x of its parts by "
                "fastnn.ops.stack, cat or where, or write in `with fastnn.no_grad():`"
            )
        _write(self, key, value._array if isinstance(value, Tensor) else value)


def _measure() -> int:
    """References to the array of a Tensor that nobody else has, counted as above."""

    return _references(types.SimpleNamespace(_array=np.empty(1, np.float32)))


_ALONE = _measure()
