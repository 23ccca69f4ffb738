"""What the elements of a Tensor may be: float32, int64 or bool, under torch's names, as NumPy's dtypes.

A dtype of NumPy is equal to its class and to its name, so ``x.dtype == np.float32`` and ``x.dtype == fnn.float32`` say
the same.
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

float32 = np.dtype(np.float32)
int64 = np.dtype(np.int64)
bool = np.dtype(np.bool_)
float, long = float32, int64

_PYTHONS: dict[Any, np.dtype[Any]] = {builtins.bool: bool, builtins.float: float32, builtins.int: int64}


def as_dtype(dtype: Any, op: str) -> np.dtype[Any]:
    """float32, int64 or bool, from a dtype, its name, a class of NumPy or of Python. Raises TypeError for any other."""
    try:
        found = _PYTHONS[dtype] if dtype in _PYTHONS else np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or found not in (float32, int64, bool):
        name = getattr(dtype, "__name__", dtype)
        wide = {"f": "float32", "i": "int64", "u": "int64"}.get(found.kind if found is not None else "")
        hint = f"; write fastnn.{wide}" if wide else ""
        if found is None and str(dtype).startswith(("cpu", "cuda", "mps")):
            hint = "; everything is on the CPU: leave the device out"
        raise TypeError(f"{op}: dtype is {name}, expected fastnn.float32, int64 or bool{hint}")
    return found


def promoted(x: np.dtype[Any], y: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of arithmetic of two, as torch has it: the wider kind, bool, then int64, then float32."""
    if x.kind == "f" or y.kind == "f":
        return float32
    return bool if x.kind == y.kind == "b" else int64
