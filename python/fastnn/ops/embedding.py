from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import _core
from fastnn.arrays import FloatArray, as_float32, as_indices
from fastnn.ops.op import Shape, op
from fastnn.tape import Backward


def check_row(padding_idx: Any, op: str) -> int | None:
    if padding_idx is None:
        return None
    if isinstance(padding_idx, bool) or not isinstance(padding_idx, (int, np.integer)):
        raise TypeError(f"{op}: padding_idx is {padding_idx!r}, expected an integer or None")
    return int(padding_idx)


def row_number(padding_idx: Any, rows: int, op: str) -> int:
    """``padding_idx`` counted from the front, -1 where it is None."""
    if padding_idx is None:
        return -1
    check_row(padding_idx, op)
    if not -rows <= padding_idx < rows:
        raise ValueError(f"{op}: padding_idx {padding_idx} is outside the table of {rows} rows")
    return int(padding_idx) % rows


def _shape(indices: Shape, weight: Shape, *, padding_idx: int | None) -> Shape:
    if len(weight) != 2:
        raise ValueError(f"embedding: weight has shape {weight}, expected 2 dimensions (rows, width)")
    row_number(padding_idx, weight[0], "embedding")
    return *indices, weight[1]


def _run(
    indices: npt.NDArray[np.int64], weight: FloatArray, *, need: Sequence[bool], padding_idx: int | None
) -> tuple[FloatArray, Backward]:
    flat, (rows, width) = np.ascontiguousarray(indices).reshape(-1), weight.shape
    skip = row_number(padding_idx, rows, "embedding")
    y = _core.embedding_forward(flat, np.ascontiguousarray(weight)).reshape(*indices.shape, width)

    def backward(dy: FloatArray) -> tuple[None, FloatArray]:
        dy = np.ascontiguousarray(dy).reshape(flat.size, width)
        return None, _core.embedding_backward(flat, dy, rows, skip)

    return y, backward


@op(shape=_shape, run=_run)
def embedding(indices: Any, weight: Any, padding_idx: int | None = None) -> Any:
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
    arrays = as_indices(indices, "embedding", "indices"), as_float32(weight, "embedding", "weight")
    return arrays, {"padding_idx": check_row(padding_idx, "embedding")}
