"""Sequences of different lengths as packed rows: no row is padding, so the work is that of the sum of the lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.arrays import as_indices

Indices = npt.NDArray[np.int64]


class Packing:
    """How N sequences lie in packed rows: those of step 0, longest sequence first, then those of step 1, and so on.

    Args:
        lengths: (N) integers, at least 1.
        op: who asks, for the errors.

    ``batch_sizes`` (T) says how many sequences have step t, ``order`` (N) which they are; ``sample`` and ``time``
    (rows) say where each packed row comes from. Raises ValueError for lengths below 1, TypeError for lengths that are
    not integers. Packed rows are taken by ``ops.take_rows``, and given back by ``ops.put_rows``.

    >>> packing = Packing([1, 3])
    >>> packing.batch_sizes.tolist(), packing.order.tolist()
    ([2, 1, 1], [1, 0])
    """

    def __init__(self, lengths: Any, op: str = "Packing") -> None:
        self.lengths = as_indices(lengths, op, "lengths")
        self.order: Indices = np.argsort(-self.lengths, kind="stable")
        if self.lengths.ndim != 1 or not self.lengths.size or self.lengths[self.order[-1]] < 1:
            raise ValueError(f"{op}: lengths are {self.lengths}, expected (N) numbers of time steps, at least 1")
        self.steps = int(self.lengths[self.order[0]])
        longer = self.lengths.size - np.cumsum(np.bincount(self.lengths, minlength=self.steps + 1))
        self.batch_sizes: Indices = longer[: self.steps].astype(np.int64)
        self.time: Indices = np.repeat(np.arange(self.steps), self.batch_sizes)
        starts = np.cumsum(self.batch_sizes) - self.batch_sizes
        self.sample: Indices = self.order[np.arange(self.time.size) - starts[self.time]]
