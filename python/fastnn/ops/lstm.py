from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastnn import _core
from fastnn.arrays import FloatArray
from fastnn.ops.op import Shape, op
from fastnn.ops.recurrent import (
    WEIGHT_NAMES,
    WEIGHTS,
    Maybe,
    MaybeShape,
    cell,
    cell_arrays,
    cell_shape,
    contiguous,
    dense,
    layer_shape,
    normal,
    saved,
    weight_list,
)
from fastnn.tape import Backward, Gradients

_NAMES = ("x", "h0", "c0", *WEIGHT_NAMES)
_CELL_NAMES = ("x", "h", "c", *WEIGHTS)
_GATES = 4


def _shape(
    x: MaybeShape, h0: MaybeShape, c0: MaybeShape, *weights: MaybeShape, samples: int | None = None
) -> tuple[Shape, Shape, Shape]:
    layer = layer_shape("lstm", _GATES, x, weight_list(weights[:8]), weights[8], samples)
    return layer.y, layer.state(h0, "h0", layer.hidden), layer.state(c0, "c0", layer.hidden)


def _run(
    x: FloatArray, h0: Maybe, c0: Maybe, *rest: Any, need: Sequence[bool], samples: int | None = None
) -> tuple[tuple[FloatArray, ...], Backward | None]:
    sizes = rest[8]
    weights: Any = rest[:4] if rest[4] is rest[5] is rest[6] is rest[7] is None else rest[:8]
    if not _core.are_dense(x, h0, c0, *weights):
        x, h0, c0, *weights = dense((x, h0, c0, *weights))  # type: ignore[assignment]
    keep = True in need
    y, h_n, c_n, kept = _core.lstm_forward(x, sizes, h0, c0, weights, keep)
    if not keep:
        return (y, h_n, c_n), None
    held = saved(need, 2, weights)
    first = h0 if held.hidden else None

    def backward(dy: Maybe, dh: Maybe, dc: Maybe) -> Gradients:
        dy, dh, dc = contiguous(dy, dh, dc)
        dh0, dc0, dx, dws = _core.lstm_backward(
            x, sizes, first, c0, held.weights, y, kept, dy, dh, dc, need[0], held.wanted
        )
        return [dx, dh0, dc0, *dws]

    return (y, h_n, c_n), backward


@op(shape=_shape, run=_run)
def lstm(
    x: Any,
    h0: Any,
    c0: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = None,
    bias_hh: Any = None,
    weight_ih_reverse: Any = None,
    weight_hh_reverse: Any = None,
    bias_ih_reverse: Any = None,
    bias_hh_reverse: Any = None,
    batch_sizes: Any = None,
) -> Any:
    """One layer of long short-term memory over a whole sequence (Hochreiter and Schmidhuber 1997, with forget gates).

    i, f, o = sigmoid and g = tanh of x weight_ihᵀ + bias_ih + h weight_hhᵀ + bias_hh; c = f c + i g; h = o tanh(c).

    Args:
        x: (T, N, I), at least one time step.
        h0, c0: (D, N, H) or None for zeros, D = 2 where the weights of a reverse direction are given, else 1.
        weight_ih, weight_hh: (4 H, I) and (4 H, H), gates in the order i, f, g, o.
        bias_ih, bias_hh: (4 H) or None (default).
        weight_ih_reverse and so on: the same for the direction that walks from the last time step to the first.
        batch_sizes: None (default), or, for sequences of different lengths, how many of them have step t, (T). Then x
            is packed, (rows, I): the rows of step 0, longest sequence first, of step 1 and so on; see fastnn.ragged.

    Returns y (T, N, D * H), or packed (rows, D * H), h_n (D, N, H) and c_n (D, N, H). Raises ValueError when shapes
    do not match, TypeError for complex, object and string input.

    >>> import numpy as np, fastnn as fnn
    >>> y, h, c = fnn.ops.lstm(np.zeros((5, 2, 3)), None, None, np.ones((16, 3)), np.ones((16, 4)))
    >>> y.shape, h.shape, c.shape
    ((5, 2, 4), (1, 2, 4), (1, 2, 4))
    """
    return normal(
        "lstm",
        _NAMES,
        x,
        h0,
        c0,
        weight_ih,
        weight_hh,
        bias_ih,
        bias_hh,
        weight_ih_reverse,
        weight_hh_reverse,
        bias_ih_reverse,
        bias_hh_reverse,
        batch_sizes,
    )


def _cell_shape(x: MaybeShape, h: MaybeShape, c: MaybeShape, *weights: MaybeShape) -> tuple[Shape, Shape]:
    state = cell_shape("lstm_cell", _GATES, x, {"h": h, "c": c}, weights)
    return state, state


def _cell_run(x: FloatArray, *arrays: Maybe, need: Sequence[bool]) -> tuple[tuple[FloatArray, ...], Backward | None]:
    return cell(_run, "lstm_cell", x, arrays, need)


@op(shape=_cell_shape, run=_cell_run)
def lstm_cell(x: Any, h: Any, c: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any = None, bias_hh: Any = None) -> Any:
    """One time step of lstm.

    Args:
        x: (N, I) or (I).
        h, c: (N, H) or (H), as x; None for zeros.
        weight_ih, weight_hh, bias_ih, bias_hh: see lstm.

    Returns the next h and c. Raises as lstm.

    >>> import numpy as np, fastnn as fnn
    >>> h, c = fnn.ops.lstm_cell(np.zeros(3), None, None, np.ones((16, 3)), np.ones((16, 4)))
    >>> h.shape
    (4,)
    """
    return cell_arrays("lstm_cell", _CELL_NAMES, x, h, c, weight_ih, weight_hh, bias_ih, bias_hh), {}
