"""What a user's forward is given: Tensors, whose methods mean what torch means, where the caller gave arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.arrays import as_value
from fastnn.value import wrapped


def _seen(value: Any, op: str, name: str) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "fiub":
            return value  # the op that gets it says what is wrong
        view = as_value(value, op, name)[...]
        view.flags.writeable = False  # x -= y in forward must not change what the caller has
        return wrapped(view)
    if type(value) in (list, tuple) and any(isinstance(part, np.ndarray) for part in value):
        return type(value)([_seen(part, op, name) for part in value])
    return value


def seen(op: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call of the Module ``op``, with a read-only Tensor for each array in them.

    Arrays of floats are float32 then, integers int64, and bool stays bool.
    """
    return (
        tuple([_seen(value, op, "x") for value in args]),
        {name: _seen(value, op, name) for name, value in kwargs.items()},
    )
