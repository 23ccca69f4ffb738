"""What lstm_variant and gru_variant share: zoneout and recurrent dropout, as numbers or as masks, given or drawn."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.arrays import FloatArray, as_float32
from fastnn.ops.op import Shape
from fastnn.ops.recurrent import Maybe, MaybeShape
from fastnn.random import generator

Number = (int, float, np.number)


def part_that_stays(value: Any, op: str, name: str) -> tuple[Maybe, float]:
    """zoneout as a mask or a number, the other of which is None or 0."""
    if value is None or isinstance(value, Number):
        if value is not None and not 0 <= value <= 1:
            raise ValueError(f"{op}: {name} is {value}, expected a part from 0 to 1")
        return None, float(value or 0)
    return as_float32(value, op, name), 0.0


def drop_mask(value: Any, op: str) -> Maybe:
    return None if value is None else as_float32(value, op, "drop")


def check_mask(mask: MaybeShape, x: Shape, directions: int, width: int, op: str, name: str) -> None:
    expected = (directions, *x[:-1], width)
    if mask is not None and mask != expected:
        raise ValueError(f"{op}: {name} has shape {mask}, but x {x} expects {expected}")


class Masks:
    """Makes the masks of a layer as the kernels read them: (D, rows, width), (D, 1, width) for a number, or None."""

    def __init__(self, op: str, x: FloatArray, directions: int) -> None:
        self._op, self._x, self._directions = op, x.shape, directions

    def zoneout(self, given: Maybe, part: float, width: int, name: str, training: bool) -> Maybe:
        """What part of a state stays: the mask given, one drawn with that probability, or the part, for all alike."""
        if given is not None or not part:
            return self._given(given, width, name)
        if not training:
            return np.full((self._directions, 1, width), part, np.float32)
        return (self._uniform(width) < part).astype(np.float32)

    def drop(self, given: Maybe, p: float, width: int, training: bool) -> Maybe:
        """The mask given, or one drawn: 0 with probability p, else 1 / (1 - p)."""
        if given is not None or not p or not training:
            return self._given(given, width, "drop")
        kept = (self._uniform(width) >= p).astype(np.float32)
        return kept / np.float32(1 - p) if p < 1 else kept

    def _given(self, mask: Maybe, width: int, name: str) -> Maybe:
        if mask is None:
            return None
        check_mask(mask.shape, self._x, self._directions, width, self._op, name)
        return np.ascontiguousarray(mask).reshape(self._directions, -1, width)

    def _uniform(self, width: int) -> FloatArray:
        drawn = generator().random((self._directions, *self._x[:-1], width), np.float32)
        return drawn.reshape(self._directions, -1, width)


def width_of(weight: Maybe, axis: int) -> int:
    """The length of an axis, 0 where there is none: the binding will refuse it."""
    return weight.shape[axis] if weight is not None and weight.ndim == 2 else 0
