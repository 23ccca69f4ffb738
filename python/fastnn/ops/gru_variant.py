from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastnn import _core
from fastnn.arrays import FloatArray
from fastnn.ops.checks import check_probability
from fastnn.ops.op import Shape, op
from fastnn.ops.recurrent import (
    WEIGHT_NAMES,
    Maybe,
    MaybeShape,
    contiguous,
    dense,
    layer_shape,
    normal,
    saved,
    weight_list,
)
from fastnn.ops.variant import Masks, check_mask, drop_mask, part_that_stays, width_of
from fastnn.tape import Backward, Gradients


def _shape(
    x: MaybeShape,
    h0: MaybeShape,
    *rest: MaybeShape,
    reset_after: bool,
    zoneout: float,
    recurrent_dropout: float,
    training: bool,
    samples: int | None = None,
) -> tuple[Shape, Shape]:
    layer = layer_shape("gru_variant", 3, x, weight_list(rest[:8]), rest[8], samples)
    for mask, name in zip(rest[9:], ("zoneout", "drop"), strict=True):
        check_mask(mask, layer.x, layer.directions, layer.hidden, layer.op, name)
    return layer.y, layer.state(h0, "h0", layer.hidden)


def _run(
    x: FloatArray,
    h0: Maybe,
    *rest: Any,
    need: Sequence[bool],
    reset_after: bool,
    zoneout: float,
    recurrent_dropout: float,
    training: bool,
    samples: int | None = None,
) -> tuple[tuple[FloatArray, ...], Backward | None]:
    sizes, zone, drop = rest[8:]
    weights: Any = rest[:4] if rest[4] is rest[5] is rest[6] is rest[7] is None else rest[:8]
    if not _core.are_dense(x, h0, *weights):
        x, h0, *weights = dense((x, h0, *weights))  # type: ignore[assignment]
    made, h = Masks("gru_variant", x, len(weights) // 4), width_of(weights[1], 1)
    masks = [
        made.zoneout(zone, zoneout, h, "zoneout", training),
        made.drop(drop, recurrent_dropout, h, training),
    ]
    keep = True in need
    y, h_n, kept = _core.gru_variant_forward(x, sizes, h0, weights, masks, reset_after, keep)
    if not keep:
        return (y, h_n), None
    held = saved(need, 1, weights)

    def backward(dy: Maybe, dh: Maybe) -> Gradients:
        dy, dh = contiguous(dy, dh)
        dh0, dx, dws = _core.gru_variant_backward(
            x, sizes, h0, held.weights, masks, reset_after, y, kept, dy, dh, need[0], held.wanted
        )
        return [dx, dh0, *dws]

    return (y, h_n), backward


@op(shape=_shape, run=_run)
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
    batch_sizes: Any = None,
    zoneout: Any = None,
    drop: Any = None,
    *,
    reset_after: bool = True,
    recurrent_dropout: float = 0.0,
    training: bool = False,
) -> Any:
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
        recurrent_dropout: the probability p of a drop to be drawn in training. Default 0.
        training: whether zoneout, where it is a number, is the probability that an element of h stays, and masks are
            drawn from the generator that fnn.manual_seed seeds. Default False.

    Masks are packed with x, (D, rows, H), and get no gradient. Returns and raises as ops.gru.

    >>> import numpy as np, fastnn as fnn
    >>> y, h = fnn.ops.gru_variant(np.zeros((5, 2, 3)), None, np.ones((12, 3)), np.ones((12, 4)), reset_after=False)
    >>> y.shape, h.shape
    ((5, 2, 4), (1, 2, 4))
    """
    name = "gru_variant"
    weights: tuple[Any, ...] = (weight_ih, weight_hh, bias_ih, bias_hh)
    weights += (weight_ih_reverse, weight_hh_reverse, bias_ih_reverse, bias_hh_reverse)
    given, samples = normal(name, ("x", "h0", *WEIGHT_NAMES), x, h0, *weights, batch_sizes)
    zone, part = part_that_stays(zoneout, name, "zoneout")
    return [*given, zone, drop_mask(drop, name)], {
        "reset_after": bool(reset_after),
        "zoneout": part,
        "recurrent_dropout": check_probability(recurrent_dropout, f"{name}: recurrent_dropout"),
        "training": bool(training),
        **samples,
    }
