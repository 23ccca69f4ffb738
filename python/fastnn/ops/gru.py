from __future__ import annotations

from typing import Any

from fastnn import _core
from fastnn.arrays import FloatArray
from fastnn.op import op
from fastnn.ops.recurrent import Maybe, as_batch_sizes, cell, dense_layer, dense_or_none, saved, weight_list
from fastnn.tape import Backward, Gradients


@op
def gru(
    x: Any,
    h0: Any,
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
    """One layer of gated recurrent units over a whole sequence (Cho et al. 2014, arXiv 1406.1078; as in cuDNN).

    r, z = sigmoid of x weight_ihᵀ + bias_ih + h weight_hhᵀ + bias_hh; n = tanh(x weight_inᵀ + bias_in + r (h weight_hnᵀ
    + bias_hn)); h = (1 - z) n + z h.

    Args:
        x: (T, N, I), at least one time step.
        h0: (D, N, H) or None for zeros, D = 2 where the weights of a reverse direction are given, else 1.
        weight_ih, weight_hh: (3 H, I) and (3 H, H), gates in the order r, z, n.
        bias_ih, bias_hh: (3 H) or None (default).
        weight_ih_reverse and so on: the same for the direction that walks from the last time step to the first.
        batch_sizes: None (default), or, for sequences of different lengths, how many of them have step t, (T). Then x
            is packed, (rows, I): the rows of step 0, longest sequence first, of step 1 and so on; see fastnn.ragged.

    Returns y (T, N, D * H), or packed (rows, D * H), and h_n (D, N, H). Raises ValueError when shapes
    do not match, TypeError for complex, object and string input.

    >>> import numpy as np, fastnn as fnn
    >>> y, h = fnn.ops.gru(np.zeros((5, 2, 3)), None, np.ones((12, 3)), np.ones((12, 4)))
    >>> y.shape, h.shape
    ((5, 2, 4), (1, 2, 4))
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
    sizes = as_batch_sizes(batch_sizes, "gru")
    if not _core.are_dense(x, h0, *weights):
        x, h0, weights = dense_layer("gru", x, {"h0": h0}, weights)
    y, h_n, kept = _core.gru_forward(x, sizes, h0, weights, True in need)
    if True not in need:
        return (y, h_n), None
    held = saved(need, 1, weights)

    def backward(dy: Maybe, dh: Maybe) -> Gradients:
        dy, dh = dense_or_none(dy, "gru", "dy"), dense_or_none(dh, "gru", "dh")
        dh0, dx, dws = _core.gru_backward(x, sizes, h0, held.weights, y, kept, dy, dh, need[0], held.wanted)
        return [dx, dh0, *dws]

    return (y, h_n), backward


@op
def gru_cell(
    x: Any, h: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any = None, bias_hh: Any = None, *, need: list[bool]
) -> tuple[FloatArray, Backward | None]:
    """One time step of gru.

    Args:
        x: (N, I) or (I).
        h: (N, H) or (H), as x; None for zeros.
        weight_ih, weight_hh, bias_ih, bias_hh: see gru.

    Returns the next h. Raises as gru.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.gru_cell(np.zeros(3), None, np.ones((12, 3)), np.ones((12, 4))).shape
    (4,)
    """
    weights = [weight_ih, weight_hh, bias_ih, bias_hh]
    (h,), backward = cell(gru.raw, "gru_cell", x, {"h": h}, weights, need)  # type: ignore[attr-defined]
    return h, backward
