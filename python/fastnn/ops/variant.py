"""What lstm_variant and gru_variant share: the masks of zoneout and of recurrent dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.arrays import FloatArray, as_float32
from fastnn.ops.recurrent import Maybe

Number = (int, float, np.number)


def mask(value: Any, x: FloatArray, directions: int, width: int, op: str, name: str, number: bool = True) -> Maybe:
    """(D, rows, width) as the kernels read it; (D, 1, width) for a number, where one may be; None for None and 0."""
    if value is None:
        return None
    if number and isinstance(value, Number):
        if not 0 <= value <= 1:
            raise ValueError(f"{op}: {name} is {value}, expected a part from 0 to 1")
        return np.full((directions, 1, width), value, np.float32) if value else None
    array = as_float32(value, op, name)
    expected = (directions, *x.shape[:-1], width)
    if array.shape != expected:
        raise ValueError(f"{op}: {name} has shape {array.shape}, but x {x.shape} expects {expected}")
    return np.ascontiguousarray(array).reshape(directions, -1, width)


def width_of(weight: Maybe, axis: int) -> int:
    """The length of an axis from the end, 0 where there is none: the binding will say what is wrong."""
    return weight.shape[axis] if weight is not None and weight.ndim == 2 else 0
