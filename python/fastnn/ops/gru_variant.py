from __future__ import annotations

from typing import Any

from fastnn import _core
from fastnn.arrays import FloatArray
from fastnn.op import op
from fastnn.ops.recurrent import Maybe, as_batch_sizes, dense_layer, dense_or_none, saved, weight_list
from fastnn.ops.variant import mask, width_of
from fastnn.tape import Backward, Gradients


@op
def gru_variant(
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
    reset_after: bool = True,
    zoneout: Any = None,
    drop: Any = None,
    batch_sizes: Any = None,
    need: list[bool],
) -> tuple[tuple[FloatArray, ...], Backward | None]:
    """One layer of gated recurrent units with any of its variants, over a whole sequence.

    r, z = sigmoid of x weight_ihᵀ + bias_ih + h weight_hhᵀ + bias_hh; n = tanh(x weight_inᵀ + bias_in + r (h weight_hnᵀ
    + bias_hn)), or, with reset_after=False, tanh(x weight_inᵀ + bias_in + (r h) weight_hnᵀ + bias_hn) (Cho et al. 2014,
    arXiv 1406.1078; ONNX's linear_before_reset=0); h' = (1 - z) drop n + z h (Semeniuta et al. 2016, arXiv 1603.05118);
    h = zoneout h + (1 - zoneout) h' (Krueger et al. 2017, arXiv 1606.01305).

    Args:
        x, h0, weights, batch_sizes: as in ops.gru.
        reset_after: whether the reset gate multiplies the product, as ops.gru has it (default), or h before it.
        zoneout: a number for all or a mask (D, T, N, H): what part of h stays. None (default): nothing.
        drop: a mask (D, T, N, H): 0 where an element is dropped, else 1 / (1 - p). None (default): nothing.

    Masks are packed with x, (D, rows, H), and get no gradient. Returns and raises as ops.gru.

    >>> import numpy as np, fastnn as fnn
    >>> y, h = fnn.ops.gru_variant(np.zeros((5, 2, 3)), None, np.ones((12, 3)), np.ones((12, 4)), reset_after=False)
    >>> y.shape, h.shape
    ((5, 2, 4), (1, 2, 4))
    """
    name = "gru_variant"
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
    if not _core.are_dense(x, h0, *weights):
        x, h0, weights = dense_layer(name, x, {"h0": h0}, weights)
    sizes = as_batch_sizes(batch_sizes, name)
    directions, h = len(weights) // 4, width_of(weights[1], 1)
    masks = [
        mask(zoneout, x, directions, h, name, "zoneout"),
        mask(drop, x, directions, h, name, "drop", number=False),
    ]
    y, h_n, kept = _core.gru_variant_forward(x, sizes, h0, weights, masks, reset_after, True in need)
    if True not in need:
        return (y, h_n), None
    held = saved(need, 1, weights)

    def backward(dy: Maybe, dh: Maybe) -> Gradients:
        dy, dh = dense_or_none(dy, name, "dy"), dense_or_none(dh, name, "dh")
        dh0, dx, dws = _core.gru_variant_backward(
            x, sizes, h0, held.weights, masks, reset_after, y, kept, dy, dh, need[0], held.wanted
        )
        return [dx, dh0, *dws]

    return (y, h_n), backward
