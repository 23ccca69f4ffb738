from __future__ import annotations

import functools
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

_NAMES = ("x", "h0", *WEIGHT_NAMES)
_CELL_NAMES = ("x", "h", *WEIGHTS)
_GATES = 1


def check_nonlinearity(nonlinearity: Any, op: str) -> str:
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"{op}: nonlinearity is {nonlinearity!r}, expected 'tanh' or 'relu'")
    return str(nonlinearity)


def _shape(
    x: MaybeShape, h0: MaybeShape, *weights: MaybeShape, nonlinearity: str, samples: int | None = None
) -> tuple[Shape, Shape]:
    layer = layer_shape("rnn", _GATES, x, weight_list(weights[:8]), weights[8], samples)
    return layer.y, layer.state(h0, "h0", layer.hidden)


def _run(
    x: FloatArray, h0: Maybe, *rest: Any, need: Sequence[bool], nonlinearity: str, samples: int | None = None
) -> tuple[tuple[FloatArray, ...], Backward | None]:
    sizes, relu = rest[8], nonlinearity == "relu"
    weights: Any = rest[:4] if rest[4] is rest[5] is rest[6] is rest[7] is None else rest[:8]
    if not _core.are_dense(x, h0, *weights):
        x, h0, *weights = dense((x, h0, *weights))  # type: ignore[assignment]
    y, h_n = _core.rnn_forward(x, sizes, h0, weights, relu)
    if True not in need:
        return (y, h_n), None
    held = saved(need, 1, weights)
    first = h0 if held.hidden else None

    def backward(dy: Maybe, dh: Maybe) -> Gradients:
        dy, dh = contiguous(dy, dh)
        dh0, dx, dws = _core.rnn_backward(x, sizes, first, held.weights, y, dy, dh, relu, need[0], held.wanted)
        return [dx, dh0, *dws]

    return (y, h_n), backward


@op(shape=_shape, run=_run)
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
    batch_sizes: Any = None,
    *,
    nonlinearity: str = "tanh",
) -> Any:
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
    arrays, samples = normal(
        "rnn",
        _NAMES,
        x,
        h0,
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
    return arrays, {"nonlinearity": check_nonlinearity(nonlinearity, "rnn"), **samples}


def _cell_shape(x: MaybeShape, h: MaybeShape, *weights: MaybeShape, nonlinearity: str) -> Shape:
    return cell_shape("rnn_cell", _GATES, x, {"h": h}, weights)


def _cell_run(
    x: FloatArray, *arrays: Maybe, need: Sequence[bool], nonlinearity: str
) -> tuple[FloatArray, Backward | None]:
    (h,), backward = cell(functools.partial(_run, nonlinearity=nonlinearity), "rnn_cell", x, arrays, need)
    return h, backward


@op(shape=_cell_shape, run=_cell_run)
def rnn_cell(
    x: Any,
    h: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = None,
    bias_hh: Any = None,
    *,
    nonlinearity: str = "tanh",
) -> Any:
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
    arrays = cell_arrays("rnn_cell", _CELL_NAMES, x, h, weight_ih, weight_hh, bias_ih, bias_hh)
    return arrays, {"nonlinearity": check_nonlinearity(nonlinearity, "rnn_cell")}
