from __future__ import annotations

from typing import Any

from fastnn import _core
from fastnn.arrays import FloatArray
from fastnn.op import op
from fastnn.ops.recurrent import Maybe, as_batch_sizes, cell, dense_layer, dense_or_none, saved, weight_list
from fastnn.tape import Backward, Gradients


@op
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
    *,
    batch_sizes: Any = None,
    need: list[bool],
) -> tuple[tuple[FloatArray, ...], Backward | None]:
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
    weights = weight_list(
        weight_ih,
        weight_hh,
        bias_ih,
        bias_hh,
        weight_ih_reverse,
        weight_hh_reverse,
        bias_ih_reverse,
        bias_hh_reverse,
    )
    sizes = as_batch_sizes(batch_sizes, "lstm")
    if not _core.are_dense(x, h0, c0, *weights):
        x, h0, c0, weights = dense_layer("lstm", x, {"h0": h0, "c0": c0}, weights)
    y, h_n, c_n, kept = _core.lstm_forward(x, sizes, h0, c0, weights, True in need)
    if True not in need:
        return (y, h_n, c_n), None
    held = saved(need, 2, weights)
    first = h0 if held.hidden else None

    def backward(dy: Maybe, dh: Maybe, dc: Maybe) -> Gradients:
        dy, dh, dc = (dense_or_none(d, "lstm", name) for d, name in ((dy, "dy"), (dh, "dh"), (dc, "dc")))
        dh0, dc0, dx, dws = _core.lstm_backward(
            x, sizes, first, c0, held.weights, y, kept, dy, dh, dc, need[0], held.wanted
        )
        return [dx, dh0, dc0, *dws]

    return (y, h_n, c_n), backward


@op
def lstm_cell(
    x: Any,
    h: Any,
    c: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = None,
    bias_hh: Any = None,
    *,
    need: list[bool],
) -> tuple[tuple[FloatArray, ...], Backward | None]:
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
    weights = [weight_ih, weight_hh, bias_ih, bias_hh]
    return cell(lstm.raw, "lstm_cell", x, {"h": h, "c": c}, weights, need)  # type: ignore[attr-defined]
