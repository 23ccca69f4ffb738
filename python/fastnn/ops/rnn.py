from __future__ import annotations

import functools
from typing import Any

from fastnn import _core
from fastnn.arrays import FloatArray
from fastnn.op import op
from fastnn.ops.recurrent import Maybe, as_batch_sizes, cell, dense_layer, dense_or_none, saved, weight_list
from fastnn.tape import Backward, Gradients


def check_nonlinearity(nonlinearity: Any, op: str) -> str:
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"{op}: nonlinearity is {nonlinearity!r}, expected 'tanh' or 'relu'")
    return str(nonlinearity)


@op
def rnn(
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
    nonlinearity: str = "tanh",
    batch_sizes: Any = None,
    need: list[bool],
) -> tuple[tuple[FloatArray, ...], Backward | None]:
    """One layer of a plain recurrent network over a whole sequence (Elman 1990).

    h = nonlinearity(x weight_ihᵀ + bias_ih + h weight_hhᵀ + bias_hh).

    Args:
        x: (T, N, I), at least one time step.
        h0: (D, N, H) or None for zeros, D = 2 where the weights of a reverse direction are given, else 1.
        weight_ih, weight_hh: (H, I) and (H, H).
        bias_ih, bias_hh: (H) or None (default).
        weight_ih_reverse and so on: the same for the direction that walks from the last time step to the first.
        nonlinearity: "tanh" (default) or "relu".
        batch_sizes: None (default), or, for sequences of different lengths, how many of them have step t, (T). Then x
            is packed, (rows, I): the rows of step 0, longest sequence first, of step 1 and so on; see fastnn.ragged.

    Returns y (T, N, D * H), or packed (rows, D * H), and h_n (D, N, H). Raises ValueError when shapes
    do not match, TypeError for complex, object and string input.

    >>> import numpy as np, fastnn as fnn
    >>> y, h = fnn.ops.rnn(np.zeros((5, 2, 3)), None, np.ones((4, 3)), np.ones((4, 4)))
    >>> y.shape, h.shape
    ((5, 2, 4), (1, 2, 4))
    """
    relu = check_nonlinearity(nonlinearity, "rnn") == "relu"
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
    sizes = as_batch_sizes(batch_sizes, "rnn")
    if not _core.are_dense(x, h0, *weights):
        x, h0, weights = dense_layer("rnn", x, {"h0": h0}, weights)
    y, h_n = _core.rnn_forward(x, sizes, h0, weights, relu)
    if True not in need:
        return (y, h_n), None
    held = saved(need, 1, weights)
    first = h0 if held.hidden else None

    def backward(dy: Maybe, dh: Maybe) -> Gradients:
        dy, dh = dense_or_none(dy, "rnn", "dy"), dense_or_none(dh, "rnn", "dh")
        dh0, dx, dws = _core.rnn_backward(x, sizes, first, held.weights, y, dy, dh, relu, need[0], held.wanted)
        return [dx, dh0, *dws]

    return (y, h_n), backward


@op
def rnn_cell(
    x: Any,
    h: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = None,
    bias_hh: Any = None,
    *,
    nonlinearity: str = "tanh",
    need: list[bool],
) -> tuple[FloatArray, Backward | None]:
    """One time step of rnn.

    Args:
        x: (N, I) or (I).
        h: (N, H) or (H), as x; None for zeros.
        weight_ih, weight_hh, bias_ih, bias_hh, nonlinearity: see rnn.

    Returns the next h. Raises as rnn.

    >>> import numpy as np, fastnn as fnn
    >>> fnn.ops.rnn_cell(np.zeros(3), None, np.ones((4, 3)), np.ones((4, 4))).shape
    (4,)
    """
    check_nonlinearity(nonlinearity, "rnn_cell")
    sequence = functools.partial(rnn.raw, nonlinearity=nonlinearity)  # type: ignore[attr-defined]
    (h,), backward = cell(sequence, "rnn_cell", x, {"h": h}, [weight_ih, weight_hh, bias_ih, bias_hh], need)
    return h, backward
