"""Ragged sequences on their way into and out of recurrent layers, as packed rows (see fastnn.ragged): by ops alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from fastnn import ops
from fastnn.ragged import Packing


class Packed(Protocol):
    """Sequences as a user gives them, and the packed rows of the layers."""

    batch_sizes: Any

    def pack(self, x: Any) -> Any:
        """As packed rows (rows, F)."""

    def unpack(self, rows: Any) -> Any:
        """The inverse of pack."""

    def sort(self, state: Any) -> Any:
        """(D, N, H) with the longest sequence first."""

    def unsort(self, state: Any) -> Any:
        """The inverse of sort."""


def _picked(state: Any, order: Any) -> Any:
    return ops.index(state, (slice(None), order))


class Padded:
    """(T, N, F), or (N, T, F) where batch_first, with the lengths (N), integers from 1 to T."""

    def __init__(self, lengths: Any, samples: int, steps: int, batch_first: bool) -> None:
        self._first, self._second = (samples, steps) if batch_first else (steps, samples)
        self.batch_sizes, self._order, self._back, self._rows = ops.packing(lengths, steps, batch_first)

    def pack(self, x: Any) -> Any:
        return ops.take_rows(ops.reshape(x, (-1, x.shape[2])), self._rows)

    def unpack(self, rows: Any) -> Any:
        """With zeros after the end of each sequence."""
        return ops.put_rows(rows, self._rows, (self._first, self._second))

    def sort(self, state: Any) -> Any:
        return _picked(state, self._order)

    def unsort(self, state: Any) -> Any:
        return _picked(state, self._back)


class Listed:
    """A list of arrays (T_n, F)."""

    def __init__(self, lengths: Iterable[int]) -> None:
        packing = Packing(list(lengths))
        own = packing.lengths
        self.batch_sizes, self._order, self._back = packing.batch_sizes, packing.order, np.argsort(packing.order)
        self._rows = (np.cumsum(own) - own)[packing.sample] + packing.time  # places in the sequences laid end to end
        self._lengths = own.tolist()

    def pack(self, x: Any) -> Any:
        return ops.take_rows(ops.concatenate(x), self._rows)

    def unpack(self, rows: Any) -> Any:
        return list(ops.split(ops.put_rows(rows, self._rows, len(self._rows)), self._lengths))

    def sort(self, state: Any) -> Any:
        return _picked(state, self._order)

    def unsort(self, state: Any) -> Any:
        return _picked(state, self._back)
