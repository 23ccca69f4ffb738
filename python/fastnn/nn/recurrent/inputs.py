"""What recurrent layers and cells are called with: arrays, and states as one or as a pair."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.arrays import as_float32
from fastnn.value import Tensor


def floats(x: Any, op: str, name: str) -> Any:
    """A Tensor as it is, anything else as a float32 array."""
    return x if isinstance(x, Tensor) else as_float32(x, op, name)


def pair_of_states(hx: Any, op: str) -> tuple[Any, ...]:
    """hx of an LSTM as (h, c)."""
    if hx is None:
        return None, None
    if not isinstance(hx, (tuple, list)) or len(hx) != 2:
        raise TypeError(f"{op}: the state is {type(hx).__name__}, expected a pair (h, c)")
    return tuple(hx)


def one_state(hx: Any, op: str) -> Any:
    """The state of what has but one. A pair would become one array, and that of a wrong layer might even fit."""
    if isinstance(hx, tuple) or (isinstance(hx, list) and any(isinstance(s, (Tensor, np.ndarray)) for s in hx)):
        raise TypeError(f"{op}: the state is a {type(hx).__name__} of {len(hx)}, expected one array or None")
    return hx
