"""Sequences of different lengths as packed rows: no row is padding, so the work is that of the sum of the lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import ops
from fastnn.arrays import as_indices

Indices = npt.NDArray[np.int64]


def as_lengths(lengths: Any, op: str) -> Indices:
    """(N) integers, each at least 1, or an error."""
    counts = as_indices(lengths, op, "lengths")
    if counts.ndim != 1 or not counts.size or counts.min() < 1:
        raise ValueError(f"{op}: lengths are {counts}, expected (N) numbers of time steps, at least 1")
    return counts


class Packing:
    """How N sequences lie in packed rows: those of step 0, longest sequence first, then those of step 1, and so on.

    Args:
        lengths: (N) integers, at least 1.
        op: who asks, for the errors.

    ``batch_sizes`` (T) says how many sequences have step t, ``order`` (N) which they are; ``sample`` and ``time``
    (rows) say where each packed row comes from. Raises ValueError for lengths below 1, TypeError for lengths that are
    not integers.

    >>> packing = Packing([1, 3])
    >>> packing.batch_sizes.tolist(), packing.order.tolist()
    ([2, 1, 1], [1, 0])
    """

    def __init__(self, lengths: Any, op: str = "Packing") -> None:
        self.lengths = as_lengths(lengths, op)
        self.order: Indices = np.argsort(-self.lengths, kind="stable")
        self.steps = int(self.lengths.max())
        longer = self.lengths.size - np.cumsum(np.bincount(self.lengths, minlength=self.steps + 1))
        self.batch_sizes: Indices = longer[: self.steps].astype(np.int64)
        self.time: Indices = np.repeat(np.arange(self.steps), self.batch_sizes)
        starts = np.cumsum(self.batch_sizes) - self.batch_sizes
        self.sample: Indices = self.order[np.arange(self.time.size) - starts[self.time]]

    def pack(self, x: Any, batch_first: bool) -> Any:
        """(T, N, F), or (N, T, F) where batch_first, as packed rows (rows, F)."""
        return ops.take_rows(ops.reshape(x, (-1, x.shape[2])), self._places(x.shape[0], x.shape[1], batch_first))

    def unpack(self, rows: Any, steps: int, batch_first: bool) -> Any:
        """The inverse of pack, with zeros after the end of each sequence."""
        samples = self.lengths.size
        first, second = (samples, steps) if batch_first else (steps, samples)
        flat = ops.put_rows(rows, self._places(first, second, batch_first), samples * steps)
        return ops.reshape(flat, (first, second, rows.shape[1]))

    def _places(self, first: int, second: int, batch_first: bool) -> Indices:
        return self.sample * second + self.time if batch_first else self.time * second + self.sample

    def _joined(self) -> Indices:
        """For each packed row its place in the sequences laid end to end."""
        return (np.cumsum(self.lengths) - self.lengths)[self.sample] + self.time

    def pack_list(self, sequences: list[Any]) -> Any:
        """Arrays (T_n, F) as packed rows."""
        return ops.take_rows(ops.concatenate(sequences), self._joined())

    def unpack_list(self, rows: Any) -> list[Any]:
        """The inverse of pack_list."""
        joined, ends = ops.put_rows(rows, self._joined(), self.time.size), np.cumsum(self.lengths)
        return [joined[int(end - n) : int(end)] for end, n in zip(ends, self.lengths, strict=True)]

    def sort(self, state: Any) -> Any:
        """(D, N, H) with the longest sequence first."""
        return state[:, self.order]

    def unsort(self, state: Any) -> Any:
        """The inverse of sort."""
        return state[:, np.argsort(self.order)]
