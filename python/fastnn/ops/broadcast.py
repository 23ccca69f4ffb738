"""What all elementwise ops share: operands, results in their layout, and gradients summed back to a smaller shape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32, as_value, is_channels_last
from fastnn.dtypes import promoted

_FLOAT32 = np.dtype(np.float32)
_MAX = float(np.finfo(np.float32).max)
_LARGE = 1 << 16  # elements; below, NumPy's own allocation is the cheaper one
BLOCK = 1 << 18  # elements converted to float64 at a time, 2 MB


def operand(x: Any, op: str, name: str) -> FloatArray:
    """``x`` as float32: an array, or a NumPy scalar for a Python number (which broadcasts at no cost)."""
    if type(x) is np.ndarray and x.dtype is _FLOAT32 and x.flags.aligned:
        return x
    if type(x) is float or type(x) is int:
        if -_MAX <= x <= _MAX or x != x:
            return np.float32(x)  # type: ignore[return-value]
        return np.float32(math.copysign(math.inf, x))  # type: ignore[return-value]
    return as_float32(x, op, name)


def operands(x: Any, y: Any, op: str, names: tuple[str, str] = ("x", "y")) -> tuple[Any, Any]:
    """Both of one dtype, as torch promotes them: float32 where one is of floats, else int64, or bool where both are."""
    if type(x) is np.ndarray and x.dtype is _FLOAT32 and x.flags.aligned:
        return x, operand(y, op, names[1])
    if type(y) is np.ndarray and y.dtype is _FLOAT32 and y.flags.aligned:
        return operand(x, op, names[0]), y
    first, second = _dtype(x, op, names[0]), _dtype(y, op, names[1])
    dtype = promoted(first, second)
    if dtype.kind == "f":
        return operand(x, op, names[0]), operand(y, op, names[1])
    return whole(x, dtype, op, names[0]), whole(y, dtype, op, names[1])


def _dtype(x: Any, op: str, name: str) -> np.dtype[Any]:
    """Of the Tensor that ``x`` would be; numbers of Python are not made arrays, which may not hold them."""
    if isinstance(x, (bool, int)):
        return np.dtype(bool if isinstance(x, bool) else np.int64)
    return as_value(x, op, name).dtype


def whole(x: Any, dtype: np.dtype[Any], op: str, name: str) -> npt.NDArray[Any]:
    """Integers or bool as an array of that dtype, int64 or bool."""
    if isinstance(x, int) and not -(2**63) <= x < 2**63:
        raise OverflowError(f"{op}: {name} is {x}, which int64 cannot hold")
    return np.asarray(as_value(x, op, name), dtype)


def only_floats(x: Any, op: str, advice: str) -> FloatArray:
    """``x`` as float32. Raises TypeError for integers and bool, so that with ``floats=1`` only Tensors of them are
    refused."""
    array: FloatArray = as_value(x, op, "x")
    if array.dtype is not _FLOAT32 and array.dtype.kind != "f":
        raise TypeError(f"{op}: x has dtype {array.dtype}, {advice}")
    return array


def no_bool(op: str, hint: str, *operands: Any) -> None:
    """Raises TypeError for bool, of which torch has no such function either."""
    if any([x.dtype.kind == "b" for x in operands]):
        raise TypeError(f"{op}: not supported for bool; write {hint}")


def new(shape: tuple[int, ...], channels_last: bool = False) -> FloatArray:
    """An array with undefined contents; large ones in a block of the cache, where no page has to be mapped again."""
    if channels_last:
        return _core.empty_channels_last(shape)
    return _core.empty(shape) if len(shape) and math.prod(shape) >= _LARGE else np.empty(shape, np.float32)


def _large(ufunc: np.ufunc, operands: tuple[FloatArray, ...]) -> FloatArray:
    shape = np.broadcast(*operands).shape
    full = [x for x in operands if x.shape == shape]
    dense = all(x.flags.c_contiguous for x in full)
    last = not dense and len(shape) == 4 and any(is_channels_last(x) for x in full)
    if (full and not dense and not last) or operands[0].dtype.kind != "f":
        return np.asarray(ufunc(*operands))  # some other order, which NumPy keeps
    return np.asarray(ufunc(*operands, out=new(shape, last)))


def pointwise_backward(ufunc: np.ufunc, *operands: FloatArray) -> FloatArray:
    """``ufunc(*operands)`` with the memory layout of the operands. For backward, where NumPy's warnings are off."""
    for x in operands:
        if x.size >= _LARGE:
            return _large(ufunc, operands)
    y = ufunc(*operands)
    return y if type(y) is np.ndarray else np.asarray(y)


@np.errstate(all="ignore")
def pointwise(ufunc: np.ufunc, *operands: FloatArray) -> FloatArray:
    """``ufunc(*operands)`` with the memory layout of the operands; inf and nan come without a
    warning, as from kernels."""
    return pointwise_backward(ufunc, *operands)


def row_sums(rows: FloatArray) -> npt.NDArray[np.float64]:
    """Sum of each row of (R, K), added in float64; a row's bits do not depend on the other rows."""
    return _core.row_sums(rows if rows.flags.c_contiguous else np.ascontiguousarray(rows))


def sum_to(dy: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """The gradient of an operand of ``shape`` that was broadcast to the shape of ``dy``."""
    if dy.shape == shape:
        return dy
    extra = dy.ndim - len(shape)
    kept = [i for i in range(extra, dy.ndim) if shape[i - extra] == dy.shape[i]]
    summed = [i for i in range(dy.ndim) if i not in kept]
    columns = int(np.prod([dy.shape[i] for i in kept]))
    count = int(np.prod([dy.shape[i] for i in summed]))
    if kept and (kept[-1] == dy.ndim - 1 or _is_bias_of_image(dy, kept)):
        rows = np.ascontiguousarray(dy.transpose(*summed, *kept).reshape(count, columns))
        return _core.sum_rows(rows).reshape(shape)
    return row_sums(dy.transpose(*kept, *summed).reshape(columns, count)).astype(np.float32).reshape(shape)


def _is_bias_of_image(dy: FloatArray, kept: list[int]) -> bool:
    """Whether only the channels of a channels-last image are kept: its rows are pixels already."""
    return kept == [1] and dy.ndim == 4 and is_channels_last(dy)
