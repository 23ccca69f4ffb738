"""The front door: user input becomes float32 arrays here, once, or an error that says what is wrong."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _core

FloatArray = npt.NDArray[np.float32]

_FLOAT32, _INT64 = np.dtype(np.float32), np.dtype(np.int64)


def refuse(value: Any, op: str, name: str) -> None:
    """Raises TypeError for what NumPy would read without a word as something else: masked arrays, whose masked entries
    hold rubbish, sparse matrices, and data frames with columns that are not numbers."""
    kind = type(value)
    if kind is np.ndarray:
        return
    masked = sys.modules.get("numpy.ma")  # if nobody has imported it, there are none
    if masked is not None and isinstance(value, masked.MaskedArray):
        raise TypeError(
            f"{op}: {name} is a masked array; write {name}.filled(...) with what is to stand for masked entries"
        )
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        raise TypeError(f"{op}: {name} is a sparse matrix ({kind.__name__}); write {name}.toarray()")
    if hasattr(value, "dtypes") and hasattr(value, "columns") and np.asarray(value).dtype == object:
        wrong = [str(column) for column, dtype in value.dtypes.items() if getattr(dtype, "kind", "O") not in "fiub"]
        hint = (
            f"; encode {', '.join(wrong)} as numbers, or leave them out; then" if wrong else ", such as missing values;"
        )
        raise TypeError(f"{op}: {name} is a {kind.__name__} of objects{hint} write {name}.astype('float32')")


def as_array(x: Any, op: str, name: str) -> npt.NDArray[Any]:
    """``x`` as NumPy sees it; what is no array, or would lose something by becoming one, is named here."""
    refuse(x, op, name)
    try:
        return np.asarray(x)
    except ValueError as error:  # NumPy's "inhomogeneous shape"
        raise ValueError(
            f"{op}: {name} is a {type(x).__name__} that is no array: its parts have different shapes"
        ) from error
    except TypeError as error:
        raise TypeError(f"{op}: {name} is a {type(x).__name__}: {error}") from error


def is_array_like(value: Any) -> bool:
    """Whether NumPy may share the memory of ``value``: an array of another library, or a buffer."""
    if any([hasattr(value, name) for name in ("__array__", "__array_interface__", "__array_struct__")]):
        return True
    try:
        memoryview(value)
    except (TypeError, BufferError, ValueError):
        return False
    return True


def as_float32(x: Any, op: str, name: str) -> FloatArray:
    """``x`` as an aligned float32 array of any strides; the same object when it is one already.

    float64, float16, integers and bool are converted; complex, object, string and dates raise TypeError, and so do
    masked and sparse arrays and Tensors that require a gradient.
    """
    if type(x) is np.ndarray and (x.dtype is _FLOAT32 or x.dtype == _FLOAT32) and x.flags.aligned:
        return x
    array = as_array(x, op, name)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{op}: {name} has dtype {array.dtype}, expected float32 or real numbers that convert to it")
    return np.require(array, dtype=_FLOAT32, requirements="A")


def as_float(x: Any, op: str, name: str) -> Any:
    """``x`` as as_float32 has it, but None, and numbers of Python, which are floats then."""
    if (type(x) is np.ndarray and x.dtype is _FLOAT32) or type(x) is float or x is None:
        return x
    if type(x) is int:
        return float(x) if abs(x) < 2**128 else math.copysign(math.inf, x)
    return as_float32(x, op, name)


def as_numbers(x: Any, op: str, name: str) -> npt.NDArray[Any]:
    """``x`` as as_float32 has it, but integers and bool as they are: for ops that move elements and compute nothing."""
    if (
        type(x) is np.ndarray
        and x.flags.aligned
        and (x.dtype is _FLOAT32 or x.dtype == _FLOAT32 or x.dtype.kind in "iub")
    ):
        return x
    array = as_array(x, op, name)
    if array.dtype.kind in "iub":
        return np.require(array, dtype=array.dtype.newbyteorder("="), requirements="A")
    return as_float32(array, op, name)


def as_value(x: Any, op: str, name: str) -> npt.NDArray[Any]:
    """``x`` of a dtype that a Tensor may have: real floats as float32, integers as int64, bool; the same object where
    it has one already."""
    if type(x) is np.ndarray and x.dtype is _FLOAT32 and x.flags.aligned:
        return x
    array = as_numbers(x, op, name)
    if array.dtype.kind in "iu" and array.dtype != _INT64:
        if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
            raise OverflowError(f"{op}: {name} holds {array.max()}, which int64 cannot")
        return array.astype(np.int64)
    return array


def as_like(x: Any, dtype: np.dtype[Any], op: str, name: str) -> npt.NDArray[Any]:
    """``x`` of that dtype, one that a Tensor may have: only to float32 anything is converted."""
    if dtype == _FLOAT32:
        return as_float32(x, op, name)
    array = as_value(x, op, name)
    if array.dtype != dtype:
        raise TypeError(f"{op}: {name} has dtype {array.dtype}, expected {dtype}")
    return array


def as_indices(x: Any, op: str, name: str) -> npt.NDArray[np.int64]:
    """``x`` as a C-contiguous int64 array; anything but integers raises TypeError."""
    if type(x) is np.ndarray and x.dtype == _INT64 and x.flags.carray:
        return x
    array = as_array(x, op, name)
    if not array.size and not isinstance(x, np.ndarray):  # NumPy takes [] for float64
        return np.zeros(array.shape, np.int64)
    if array.dtype.kind not in "iu" or array.dtype == np.uint64:
        raise TypeError(f"{op}: {name} has dtype {array.dtype}, expected integers")
    return np.require(array, dtype=np.int64, requirements=["C", "A"])


def require_ndim(x: npt.NDArray[Any], ndim: int, layout: str, op: str, name: str) -> None:
    if x.ndim != ndim:
        raise ValueError(f"{op}: {name} has shape {x.shape}, expected {ndim} dimensions {layout}")


def is_channels_last(x: npt.NDArray[Any]) -> bool:
    """Whether (N, C, H, W) lies in memory as (N, H, W, C)."""
    return x.transpose(0, 2, 3, 1).flags.c_contiguous


def channels_last(x: FloatArray) -> FloatArray:
    """(N, C, H, W) with channels last in memory; copied only where it is not."""
    y = x.transpose(0, 2, 3, 1)
    if y.flags.c_contiguous:
        return x
    if not x.flags.c_contiguous:
        return np.ascontiguousarray(y).transpose(0, 3, 1, 2)
    n, c, h, w = x.shape
    return _core.transpose(x.reshape(n, c, h * w)).reshape(n, h, w, c).transpose(0, 3, 1, 2)


def channels_first(x: FloatArray) -> FloatArray:
    """(N, C, H, W) C-contiguous in memory; copied only where it is not."""
    if x.flags.c_contiguous or not is_channels_last(x):
        return np.ascontiguousarray(x)
    n, c, h, w = x.shape
    return _core.transpose(x.transpose(0, 2, 3, 1).reshape(n, h * w, c)).reshape(x.shape)


def image(x: FloatArray) -> FloatArray:
    """(N, C, H, W) as the kernels read it: C-contiguous or channels last; any other strides are copied."""
    return x if x.flags.c_contiguous else channels_last(x)


def dense(x: FloatArray) -> FloatArray:
    """``x`` without gaps in memory, axes in any order (C-contiguous, channels last, ...); copied only where needed."""
    if x.flags.c_contiguous:
        return x
    order = sorted(range(x.ndim), key=lambda axis: -x.strides[axis])
    return x if x.transpose(order).flags.c_contiguous else np.ascontiguousarray(x)


def layout_of(y: FloatArray) -> tuple[int, ...] | None:
    """How the dense array ``y`` lies in memory, without the array: None is in C order, else its strides."""
    return None if y.flags.c_contiguous else y.strides


def laid_out(dy: FloatArray, layout: tuple[int, ...] | None) -> FloatArray:
    """``dy`` in memory as an array of its shape with that layout; copied only where it differs."""
    if layout is None:
        return np.asarray(dy, order="C")
    if dy.strides == layout:
        return dy
    copy = np.lib.stride_tricks.as_strided(np.empty(dy.size, np.float32), dy.shape, layout)
    np.copyto(copy, dy)
    return copy


def empty_like(x: FloatArray) -> FloatArray:
    """A block of the cache with the shape of ``x``: channels last where ``x`` is, else C-contiguous."""
    if x.ndim == 4 and not x.flags.c_contiguous and is_channels_last(x):
        return _core.empty_channels_last(x.shape)
    return _core.empty(x.shape)


def copied(x: npt.NDArray[Any]) -> FloatArray:
    """The values in a block of the cache, which begins at a cache line, C-contiguous."""
    copy: FloatArray = _core.empty(x.shape)
    np.copyto(copy, x, casting="same_kind")
    return copy


def columns_first(x: npt.NDArray[Any]) -> FloatArray:
    """A copy of the matrix whose columns are dense in memory, one after the other."""
    return copied(x.T).T


def positive_int(value: Any, op: str, name: str, minimum: int = 1) -> int:
    """``value`` as an int of at least ``minimum`` and below 2**31."""
    if type(value) is int and minimum <= value < 2**31:
        return value
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{op}: {name} is {value!r}, expected an integer")
    if not minimum <= value < 2**31:
        raise ValueError(f"{op}: {name} is {value}, expected at least {minimum} and below 2**31")
    return int(value)


def as_flag(value: Any, op: str, name: str) -> bool:
    """``value`` as a bool, of Python or of NumPy; a number or a word is a mistake, such as another argument."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise TypeError(f"{op}: {name} is {value!r}, expected True or False")


def pair(value: Any, op: str, name: str, minimum: int = 1) -> tuple[int, int]:
    """An int, or a pair of ints for (height, width), as a pair."""
    if type(value) is int and minimum <= value < 2**31:
        return value, value
    values = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(values) != 2:
        raise ValueError(f"{op}: {name} is {value!r}, expected one integer or two")
    return positive_int(values[0], op, name, minimum), positive_int(values[1], op, name, minimum)


def single(value: Any, op: str, name: str, minimum: int = 1) -> int:
    """An int, or a tuple of one, as 1-D layers take it."""
    if isinstance(value, (tuple, list)):
        if len(value) != 1:
            raise ValueError(f"{op}: {name} is {value!r}, expected one integer")
        value = value[0]
    return positive_int(value, op, name, minimum)
