from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.arrays import as_indices, positive_int
from fastnn.ops.op import DependsOnValues, Shape, look
from fastnn.ragged import Indices, Packing


def _shape(lengths: Shape, *, steps: int, batch_first: bool) -> tuple[Shape, ...]:
    if len(lengths) != 1:
        raise ValueError(f"packing: lengths has shape {lengths}, expected (N)")
    raise DependsOnValues("packing: the number of packed rows is the sum of the values in lengths")


def _run(lengths: Indices, *, need: Sequence[bool], steps: int, batch_first: bool) -> tuple[tuple[Indices, ...], None]:
    packing = Packing(lengths, "packing")
    if packing.steps > steps:
        raise ValueError(f"packing: lengths are at most {packing.steps}, expected at most steps={steps}")
    samples = packing.lengths.size
    rows = packing.sample * steps + packing.time if batch_first else packing.time * samples + packing.sample
    return (packing.batch_sizes, packing.order, np.argsort(packing.order), rows), None


@look(shape=_shape, run=_run, outputs=("int64", "int64", "int64", "int64"))
def packing(lengths: Any, steps: int, batch_first: bool = False) -> Any:
    """Where the rows of padded sequences go when they are packed: see fastnn.ragged.

    Args:
        lengths: (N) integers from 1 to steps.
        steps: T of the padded sequences.
        batch_first: whether these are (N, T, F) rather than (T, N, F). Default False.

    Returns batch_sizes (as many as the longest has steps), order (N), which sequence is the longest, the next and so
    on, its inverse (N), and for each packed row its row in (T * N, F). Raises ValueError for lengths outside their
    range, TypeError where they are not integers.

    >>> import fastnn as fnn
    >>> [array.tolist() for array in fnn.ops.packing([1, 3], 3)]
    [[2, 1, 1], [1, 0], [1, 0], [1, 0, 3, 5]]
    """
    return (as_indices(lengths, "packing", "lengths"),), {
        "steps": positive_int(steps, "packing", "steps"),
        "batch_first": bool(batch_first),
    }
