from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32, as_indices, require_ndim
from fastnn.op import op
from fastnn.tape import Backward


def row_number(padding_idx: Any, rows: int, op: str) -> int:
    """``padding_idx`` counted from the front, -1 where it is None."""
    if padding_idx is None:
        return -1
    if isinstance(padding_idx, bool) or not isinstance(padding_idx, (int, np.integer)):
        raise TypeError(f"{op}: padding_idx is {padding_idx!r}, expected an integer or None")
    if not -rows <= padding_idx < rows:
        raise ValueError(f"{op}: padding_idx {padding_idx} is outside the table of {rows} rows")
    return int(padding_idx) % rows


@op
def embedding(
    indices: Any, weight: Any, padding_idx: int | None = None, *, need: list[bool]
) -> tuple[FloatArray, Backward]:
    """Rows of a table, looked up by number.

    Args:
        indices: integers of any shape, each in [0, rows).
        weight: (rows, width).
        padding_idx: a row, negative counts from the end, whose gradient is zero. Default None.

    Returns (*indices.shape, width). Raises IndexError for an index outside the table, TypeError for indices that are
    not integers, ValueError for a weight that is not a table or a padding_idx outside it.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.embedding(np.array([2, 0]), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    array([[5., 6.],
           [1., 2.]], dtype=float32)
    """
    table = np.ascontiguousarray(as_float32(weight, "embedding", "weight"))
    require_ndim(table, 2, "(rows, width)", "embedding", "weight")
    numbers = as_indices(indices, "embedding", "indices")
    flat = numbers.reshape(-1)
    rows, width = table.shape
    skip = row_number(padding_idx, rows, "embedding")
    y = _core.embedding_forward(flat, table).reshape(*numbers.shape, width)

    def backward(dy: FloatArray) -> tuple[None, FloatArray]:
        dy = np.ascontiguousarray(dy).reshape(flat.size, width)
        return None, _core.embedding_backward(flat, dy, rows, skip)

    return y, backward
